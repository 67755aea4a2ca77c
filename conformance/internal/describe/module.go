package describe

import (
	"errors"
	"runtime/debug"
)

const (
	romulusPath = "github.com/juju/romulus"
	standInPath = "./romulus"
)

// Romulus says which romulus this program was built with: the path or version
// that stands for the module, and whether that is our own stand-in.
func Romulus() (from string, isStandIn bool, err error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", false, errors.New("read the build information: the program was built without modules")
	}
	for _, module := range info.Deps {
		if module.Path != romulusPath {
			continue
		}
		if module.Replace != nil {
			return module.Replace.Path, module.Replace.Path == standInPath, nil
		}
		return module.Path + "@" + module.Version, false, nil
	}
	return "", false, errors.New("find " + romulusPath + " among the modules of this program")
}
