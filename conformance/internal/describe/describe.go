// Package describe writes down the types of the wire format as reflection sees
// them, so that two versions of them can be compared as text.
package describe

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/juju/romulus/wireformat/metrics"
)

// types lists every exported type of the package; a test compares the list with
// the package's source.
var types = []reflect.Type{
	reflect.TypeFor[metrics.MetricBatch](),
	reflect.TypeFor[metrics.Metric](),
	reflect.TypeFor[metrics.Response](),
	reflect.TypeFor[metrics.EnvironmentResponses](),
	reflect.TypeFor[metrics.EnvResponse](),
	reflect.TypeFor[metrics.ModelStatus](),
	reflect.TypeFor[metrics.UnitStatus](),
	reflect.TypeFor[metrics.UserStatusResponse](),
	reflect.TypeFor[metrics.UserResponses](),
	reflect.TypeFor[metrics.UserResponse](),
	reflect.TypeFor[metrics.MeterStatus](),
}

// Types describes every type: its kind, its fields in order with their Go types
// and tags, and its methods, those of the pointer included.
func Types() string {
	var text strings.Builder
	for i, t := range types {
		if i > 0 {
			text.WriteByte('\n')
		}
		describe(&text, t)
	}
	return text.String()
}

func describe(text *strings.Builder, t reflect.Type) {
	switch t.Kind() {
	case reflect.Struct:
		fmt.Fprintf(text, "type %s struct\n", t.Name())
		for field := range t.Fields() {
			fmt.Fprintf(text, "\tfield %s%s %s `%s`\n", embedded(field), field.Name, field.Type, field.Tag)
		}
	case reflect.Map:
		fmt.Fprintf(text, "type %s map[%s]%s\n", t.Name(), t.Key(), t.Elem())
	default:
		fmt.Fprintf(text, "type %s %s\n", t.Name(), t.Kind())
	}
	for method := range reflect.PointerTo(t).Methods() {
		_, byValue := t.MethodByName(method.Name)
		fmt.Fprintf(text, "\tmethod %s%s %s\n", receiver(byValue), method.Name, signature(method.Type))
	}
}

func embedded(field reflect.StructField) string {
	if field.Anonymous {
		return "embedded "
	}
	return ""
}

func receiver(byValue bool) string {
	if byValue {
		return ""
	}
	return "(pointer) "
}

// signature is the method's type without its receiver.
func signature(method reflect.Type) string {
	var parameters, results []string
	for i := 1; i < method.NumIn(); i++ {
		parameters = append(parameters, method.In(i).String())
	}
	for i := range method.NumOut() {
		results = append(results, method.Out(i).String())
	}
	text := "(" + strings.Join(parameters, ", ") + ")"
	if len(results) > 0 {
		text += " (" + strings.Join(results, ", ") + ")"
	}
	return text
}
