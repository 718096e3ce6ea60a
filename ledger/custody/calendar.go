package custody

import "fmt"

// Day is a civil date: days since 1970-01-01 in the proleptic Gregorian
// calendar, without a time zone.
type Day int32

// Month is a calendar month: year * 12 + month - 1.
type Month int32

// Years that ParseDay takes. They catch a date typed wrong, and keep what is
// computed from dates far from any overflow.
const (
	firstYear = 1900
	lastYear  = 2199
)

const (
	microsPerSecond = 1_000_000
	secondsPerDay   = 86_400
)

// ParseDay reads a date of the form YYYY-MM-DD, in ASCII digits, from
// 1900-01-01 to 2199-12-31. It reports whether s is one; String prints it again
// in the same bytes.
func ParseDay(s string) (Day, bool) {
	if len(s) != len("2006-01-02") || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	year, yearOK := parseDigits(s[:4])
	month, monthOK := parseDigits(s[5:7])
	day, dayOK := parseDigits(s[8:])
	if !yearOK || !monthOK || !dayOK || year < firstYear || year > lastYear ||
		month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	return dayOf(year, month, day), true
}

// String returns the date in the form YYYY-MM-DD.
func (d Day) String() string {
	year, month, day := d.civil()
	return fmt.Sprintf("%04d-%02d-%02d", year, month, day)
}

// Month returns the month that the date is in.
func (d Day) Month() Month {
	year, month, _ := d.civil()
	return Month(year*12 + month - 1)
}

// String returns the month in the form YYYY-MM.
func (m Month) String() string {
	return fmt.Sprintf("%04d-%02d", m.Year(), m.month())
}

// Year returns the year that the month is in.
func (m Month) Year() int {
	return floorDiv(int(m), 12)
}

// FirstDay returns the first day of the month.
func (m Month) FirstDay() Day {
	return dayOf(m.Year(), m.month(), 1)
}

// LastDay returns the last day of the month.
func (m Month) LastDay() Day {
	return (m + 1).FirstDay() - 1
}

// month returns the number of the month within its year, 1 to 12.
func (m Month) month() int {
	return int(m) - m.Year()*12 + 1
}

// ReportingDay returns the date on which an entry was sequenced, in the place
// whose offset from UTC is given: that date bounds transaction dates. Any
// instant and any offset have one.
func ReportingDay(sequencedAtMicros int64, utcOffsetSeconds int32) Day {
	seconds := floorDiv(sequencedAtMicros, microsPerSecond) + int64(utcOffsetSeconds)
	return Day(floorDiv(seconds, secondsPerDay))
}

// The Gregorian calendar repeats every 400 years. Counted from 1 March of year
// 0 a leap day is the last day of its year, and month m (0 is March) begins
// (153 m + 2) / 5 days after 1 March.
const (
	daysPerEra       = 146_097
	epochSinceYear0  = 719_468 // days from 0000-03-01 to 1970-01-01
	daysPer4Years    = 1_461
	daysPerCentury   = 36_524
	daysPerPlainYear = 365
)

// dayOf returns the day of a date that exists.
func dayOf(year, month, day int) Day {
	if month <= 2 {
		year--
	}
	era := floorDiv(year, 400)
	yearOfEra := year - era*400
	dayOfYear := (153*((month+9)%12)+2)/5 + day - 1
	dayOfEra := yearOfEra*daysPerPlainYear + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return Day(era*daysPerEra + dayOfEra - epochSinceYear0)
}

// civil returns year, month (from 1) and day of month of d.
func (d Day) civil() (year, month, day int) {
	days := int(d) + epochSinceYear0
	era := floorDiv(days, daysPerEra)
	dayOfEra := days - era*daysPerEra
	yearOfEra := (dayOfEra - dayOfEra/(daysPer4Years-1) + dayOfEra/daysPerCentury -
		dayOfEra/(daysPerEra-1)) / daysPerPlainYear
	dayOfYear := dayOfEra - (yearOfEra*daysPerPlainYear + yearOfEra/4 - yearOfEra/100)
	marchMonth := (5*dayOfYear + 2) / 153
	year, month = era*400+yearOfEra, (marchMonth+2)%12+1
	if month <= 2 {
		year++
	}
	return year, month, dayOfYear - (153*marchMonth+2)/5 + 1
}

// daysIn returns the number of days of a month, 1 to 12.
func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// parseDigits reads a short string of ASCII digits.
func parseDigits(s string) (n int, ok bool) {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// floorDiv returns a / b rounded down; b is positive.
func floorDiv[T int | int64](a, b T) T {
	if a < 0 {
		return -((-(a + 1))/b + 1)
	}
	return a / b
}
