package csvfile_test

import (
	"fmt"
	"strings"

	"github.com/magnet-ledger/magnet-ledger/ledger/client/csvfile"
)

func ExampleRead() {
	const june = `transaction_number,transaction_kind,transaction_date,customer_code,customer_name,customer_country,product_family,hs_code,net_mass,net_mass_unit
INV-001,sale,2025-06-03,C-17,Example Motors GmbH,DE,ndfeb_sintered,850511,12.5,KGM
INV-002,sale,2025/6/4,C-20,Example Pumps Ltd,GB,ferrite,850519,1.2,TNE
`
	file, err := csvfile.Read(strings.NewReader(june), nil)
	if err != nil {
		fmt.Println(err) // not this format at all
		return
	}
	for _, tx := range file.Transactions {
		fmt.Println(tx.Number, "has", tx.Message.GetLines()[0].GetNetMassGrams(), "g")
	}
	for _, r := range file.Rejected {
		fmt.Println(r)
	}
	// Output:
	// INV-001 has 12500 g
	// row 3, transaction_date "2025/6/4": must be a date YYYY-MM-DD from 1900-01-01 to 2199-12-31; write 2025-06-04; in Excel use the custom format yyyy-mm-dd
}
