package custody_test

import (
	"math"
	"testing"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
)

// TestCalendar holds every day that can be stated against the time package.
func TestCalendar(t *testing.T) {
	const secondsPerDay = 86_400
	last := time.Date(2199, time.December, 31, 0, 0, 0, 0, time.UTC)
	count := 0
	for want := time.Date(1900, time.January, 1, 0, 0, 0, 0, time.UTC); !want.After(last); want = want.AddDate(0, 0, 1) {
		count++
		text := want.Format(time.DateOnly)
		day, ok := custody.ParseDay(text)
		if !ok || int64(day)*secondsPerDay != want.Unix() || day.String() != text {
			t.Fatalf("ParseDay(%q) = %d (%v), %v, want %d", text, day, day, ok, want.Unix()/secondsPerDay)
		}
		checkMonth(t, day, want)
	}
	if count != 109_573 { // 300 years with 73 leap days: 2000 has one, 2100 none
		t.Errorf("saw %d days", count)
	}
}

func checkMonth(t *testing.T, day custody.Day, want time.Time) {
	t.Helper()
	month := day.Month()
	first := time.Date(want.Year(), want.Month(), 1, 0, 0, 0, 0, time.UTC)
	if got, want := month.FirstDay().String(), first.Format(time.DateOnly); got != want {
		t.Fatalf("first day of %v = %v, want %v", month, got, want)
	}
	if got, want := month.LastDay().String(), first.AddDate(0, 1, -1).Format(time.DateOnly); got != want {
		t.Fatalf("last day of %v = %v, want %v", month, got, want)
	}
	if month.Year() != want.Year() || month.String() != want.Format("2006-01") ||
		int(month) != want.Year()*12+int(want.Month())-1 {
		t.Fatalf("month of %v = %v (%d)", day, month, month)
	}
}

func TestParseDayRefuses(t *testing.T) {
	for _, s := range []string{
		"", "2025", "2025-06", "2025-06-1", "2025-6-01", "2025-06-011", " 2025-06-01", "2025-06-01 ",
		"20250601", "2025/06/01", "2025-06/01", "2025-06-01Z", "+025-06-01", "-025-06-01", "2025-+6-01",
		"2025-00-01", "2025-13-01", "2025-06-00", "2025-06-31", "2025-02-29", "1900-02-29", "2100-02-29",
		"2025-01-32", "1899-12-31", "2200-01-01", "0000-01-01", "9999-12-31", "２０25-1", "2025-06-0\x00",
	} {
		if day, ok := custody.ParseDay(s); ok {
			t.Errorf("ParseDay(%q) = %v", s, day)
		}
	}
}

func TestReportingDay(t *testing.T) {
	at := func(s string) int64 {
		instant, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return instant.UnixMicro()
	}
	for _, test := range []struct {
		instant string
		offset  int32
		want    string
	}{
		{"2025-06-01T15:59:59.999999Z", 28_800, "2025-06-01"},
		{"2025-06-01T16:00:00Z", 28_800, "2025-06-02"},
		{"2025-06-01T00:00:00Z", 0, "2025-06-01"},
		{"2025-06-01T00:00:00Z", -1, "2025-05-31"},
		{"2025-06-01T10:00:00Z", 50_400, "2025-06-02"},
		{"2025-06-01T13:59:59.999999Z", -50_400, "2025-05-31"},
		{"1970-01-01T00:00:00Z", 0, "1970-01-01"},
		{"1969-12-31T23:59:59.999999Z", 0, "1969-12-31"},
	} {
		if got := custody.ReportingDay(at(test.instant), test.offset).String(); got != test.want {
			t.Errorf("ReportingDay(%s, %d) = %s, want %s", test.instant, test.offset, got, test.want)
		}
	}
}

func TestReportingDayExtremes(t *testing.T) {
	// 2^63 microseconds are 106,751,991.17 days.
	if got := custody.ReportingDay(math.MaxInt64, 50_400); got != 106_751_991 {
		t.Errorf("last day = %d", got)
	}
	if got := custody.ReportingDay(math.MinInt64, -50_400); got != -106_751_992 {
		t.Errorf("first day = %d", got)
	}
}

func FuzzParseDay(f *testing.F) {
	for _, s := range []string{"1970-01-01", "2000-02-29", "2100-02-29", "2199-12-31", "2025-6-1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		day, ok := custody.ParseDay(s)
		want, err := time.Parse(time.DateOnly, s)
		if wantOK := err == nil && want.Year() >= 1900 && want.Year() <= 2199; ok != wantOK {
			t.Fatalf("ParseDay(%q) = %v, time.Parse: %v, %v", s, ok, want, err)
		}
		if ok && day.String() != s {
			t.Fatalf("%q printed as %q", s, day)
		}
		if m := day.Month(); ok && (day < m.FirstDay() || day > m.LastDay() || m.String() != s[:7]) {
			t.Fatalf("%q is not in %v", s, m)
		}
	})
}
