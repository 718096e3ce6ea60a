package csvfile

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// vocabulary is the list of words that a column takes.
type vocabulary struct {
	numbers map[string]int32 // by word in capitals
	words   map[int32]string // in small letters
	allowed string
}

var (
	kinds    = newVocabulary(tracev1.TransactionKind(0).Descriptor())
	endUses  = newVocabulary(tracev1.EndUse(0).Descriptor())
	families = newVocabulary(tracev1.ProductFamily(0).Descriptor())
	forms    = newVocabulary(tracev1.ProductForm(0).Descriptor())
	coatings = newVocabulary(tracev1.Coating(0).Descriptor())
)

// newVocabulary takes the names of an enum's values without the prefix that
// they share, and without the value 0, which an empty cell stands for.
func newVocabulary(enum protoreflect.EnumDescriptor) *vocabulary {
	v := &vocabulary{numbers: make(map[string]int32), words: make(map[int32]string)}
	values := enum.Values()
	prefix, _ := strings.CutSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	var allowed []string
	for i := range values.Len() {
		value := values.Get(i)
		if value.Number() == 0 {
			continue
		}
		name := strings.TrimPrefix(string(value.Name()), prefix)
		v.numbers[name] = int32(value.Number())
		v.words[int32(value.Number())] = strings.ToLower(name)
		allowed = append(allowed, strings.ToLower(name))
	}
	v.allowed = strings.Join(allowed, ", ")
	return v
}

// number returns the number of a word in any case. It reports whether the word
// is in the list; an empty one counts as 0.
func (v *vocabulary) number(word string) (int32, bool) {
	if word == "" {
		return 0, true
	}
	n, ok := v.numbers[strings.ToUpper(word)]
	return n, ok
}

// massPlaces is how many decimals a mass in a unit of UN/ECE Recommendation 20
// may have to be whole grams.
var massPlaces = map[string]int{"GRM": 0, "KGM": 3, "TNE": 6}
