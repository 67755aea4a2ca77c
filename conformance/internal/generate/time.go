package generate

import "fmt"

// time writes an instant: an ordinary one, one of Go's wider forms, or a bad one.
func (w *writer) time() {
	switch {
	case w.replaced(NullField):
	case w.isBad():
		w.badTime()
	default:
		w.text(`"` + w.date() + "T" + w.clock() + w.fraction() + w.zone() + `"`)
	}
}

func (w *writer) date() string {
	if w.isOdd() {
		return w.pick("0000-01-01", "0001-01-01", "9999-12-31", "2016-02-29", "2000-02-29", "1970-01-01", "1969-12-31", "0000-02-29", "1582-10-10", "2100-02-28")
	}
	return fmt.Sprintf("%04d-%02d-%02d", 2000+w.random.IntN(40), 1+w.random.IntN(12), 1+w.random.IntN(28))
}

func (w *writer) clock() string {
	hour := w.random.IntN(24)
	minuteAndSecond := fmt.Sprintf(":%02d:%02d", w.random.IntN(60), w.random.IntN(60))
	if hour < 10 && w.isOdd() {
		w.points.Add(TimeShortHour)
		return fmt.Sprint(hour) + minuteAndSecond
	}
	return fmt.Sprintf("%02d", hour) + minuteAndSecond
}

func (w *writer) fraction() string {
	separator := "."
	digits := 3
	switch {
	case w.isOdd():
		digits = 1 + w.random.IntN(14)
		if digits > 9 {
			w.points.Add(TimeManyDigits)
		}
		if w.random.IntN(3) == 0 {
			w.points.Add(TimeComma)
			separator = ","
		}
	case w.random.IntN(2) == 0:
		w.points.Add(TimePlain)
		return ""
	}
	w.points.Add(TimeFraction)
	fraction := separator
	for range digits {
		fraction += w.pick("0", "0", "1", "5", "9")
	}
	return fraction
}

func (w *writer) zone() string {
	if !w.isOdd() {
		return "Z"
	}
	sign := w.pick("+", "-")
	switch w.random.IntN(8) {
	case 0:
		w.points.Add(TimeOffsetZero)
		return sign + "00:00"
	case 1:
		w.points.Add(TimeOffsetOfSixtyMinutes)
		return sign + fmt.Sprintf("%02d:60", w.random.IntN(23))
	case 2:
		if w.badness > 0 {
			w.points.Add(TimeUnwritable)
			return sign + w.pick("24:00", "24:60", "23:60", "24:01", "24:59")
		}
	}
	w.points.Add(TimeOffset)
	return sign + fmt.Sprintf("%02d:%02d", w.random.IntN(24), w.random.IntN(60))
}

// badTime writes a time that is nearly right: one byte of a good one changed,
// removed or doubled, or one of the forms that people do write.
func (w *writer) badTime() {
	w.points.Add(TimeBad)
	if w.random.IntN(2) == 0 {
		w.text(`"` + w.pick("", "2016-02-03", "2016-02-03 04:05:06Z", "2016-02-03t04:05:06Z", "2016-02-03T04:05:06z", "2016-02-03T24:00:00Z", "2016-12-31T23:59:60Z", "2015-02-29T00:00:00Z",
			"2016-02-03T04:05:06", "2016-02-03T04:05:06.Z", "2016-02-03T04:05:06+0100", "2016-02-03T04:05:06+25:00", "2016-02-03T04:05:06+01:61", "10000-01-01T00:00:00Z", `2016-02-03T04:05:06\u005a`,
			"2016-04-31T00:00:00Z", "2016-00-01T00:00:00Z", "2016-13-01T00:00:00Z", "1900-02-29T00:00:00Z", "2016-02-03T04:05:06,+01:00") + `"`)
		return
	}
	good := []byte(w.date() + "T" + w.clock() + w.fraction() + w.zone())
	at := w.random.IntN(len(good))
	switch w.random.IntN(3) {
	case 0:
		good[at] = w.pick("0", "9", "6", "x", ":", "-", "+", ".", ",", " ", "Z", "T", "/")[0]
	case 1:
		good = append(good[:at], good[at+1:]...)
	default:
		good = append(good[:at+1], good[at:]...)
	}
	w.text(`"` + string(good) + `"`)
}
