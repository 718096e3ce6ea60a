// Package csvfile reads and writes the CSV files in which producers hand in
// their transactions.
//
// # Format
//
// A file is UTF-8 text, with or without a byte order mark. Its values are
// separated by commas and quoted as in RFC 4180; a quoted value may hold line
// breaks. Lines end in CR LF, LF or CR. The first row names the columns, in any
// order and in any case; [Columns] lists them. Each further row is one line of
// one transaction:
//
//	transaction_number,transaction_kind,transaction_date,customer_code,customer_name,customer_country,product_family,hs_code,net_mass,net_mass_unit
//	INV-001,sale,2025-06-03,C-17,Example Motors GmbH,DE,ndfeb_sintered,850511,12.5,KGM
//	INV-001,sale,2025-06-03,C-17,Example Motors GmbH,DE,smco5,850511,800,GRM
//	INV-002,sale,2025-06-04,C-20,Example Pumps Ltd,GB,ferrite,850519,1.2,TNE
//
// Rows with the same transaction_number are one transaction, adjacent or not.
// The columns that describe the transaction are repeated in each of its rows
// and must agree to the letter; a blank does not stand for "as above". With the
// column line_number its lines are ordered by that, otherwise as they stand.
//
// White space around a value is ignored. An empty value is not given; nothing
// else is: "NA" is Namibia. An apostrophe before = + - or @ is left out of the
// value, which is how [Write] keeps spreadsheet programs from running a name as
// a formula. Empty values at the end of a row may be left out, as Excel does now
// and then, and rows of nothing but empty values are skipped. A column named
// "error" is ignored: [File.WriteRejected] adds one.
//
// Numbers are written in ASCII digits with a decimal point, without thousands
// separators, and are converted exactly or refused:
//
//	net_mass      whole grams, after the conversion from GRM, KGM or TNE
//	composition   "Nd 29.5; Dy 1.2; B 1.0": percent by weight, at most 4 decimals
//	value_amount  at most 9 decimals
//	piece_count   whole
//
// # What is refused, and how far that reaches
//
//   - What cannot be read as this format at all is a [FormatError]: an unknown,
//     missing or repeated column, another encoding, another delimiter, a
//     quotation mark out of place, a row above 256 KiB, an end within a row. Nothing of such a file is
//     used.
//   - A row that is wrong rejects its whole transaction, and no other: half a
//     transaction is never handed on. The values are judged by package custody,
//     by the rules that the ledger will apply.
//   - A row whose transaction cannot be told, because its transaction_number is
//     empty or its values are shifted, may belong to the transaction above or
//     below it. Those two are rejected with it.
//   - What is doubtful but possible is a [Warning].
//
// Semicolons and tabs are refused as delimiters, not guessed at: who writes
// them mostly writes decimal commas too, and then "1.234" is one thousand and
// more. GBK is refused because what it could not hold is a question mark by
// then.
//
// # What this package does not do
//
// It does not know what was submitted before, nor who the customers are. The
// order of a party's identifiers is fixed: LEI, USCC, EORI, GLN, VAT. Whoever
// opens a file with a spreadsheet program and saves it again may change it; the
// forms of damage that can be told are named in the problems, a number that was
// rounded cannot be told.
package csvfile
