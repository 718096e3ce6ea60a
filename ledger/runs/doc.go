// Package runs keeps a map of byte strings in sorted runs, the way of a
// log-structured merge tree (O'Neil et al., 1996, doi:10.1007/s002360050048), on
// top of a store that keeps pages.
//
// What one commit sets becomes one run: its rows in the order of their keys, in
// pages of some 16 KiB, immutable. Nothing is read to make it. A [Tree] is a list
// of runs, the oldest first, and as immutable; whoever holds one reads the map as
// it was. New runs are in memory until a [Merge] puts them together in one that is
// stored; who makes them has to have a log to make them from again. Stored runs of
// like size that stand side by side are merged into one, so that there are few of
// them, however long the log.
//
// Why not a key of the store for each row: a row in Badger costs a search in its
// skip list, its share of the write-ahead log, a flush and compactions, some 4
// microseconds; in a run it costs a few times its bytes. Random keys are no dearer
// than sorted ones, since every run is sorted when it is made.
//
// A [Tree] may add up its values in place of replacing them. Then writers need not
// know what they add to, and rows of the same key fold when their runs are merged.
//
// # Bytes
//
// Numbers are big-endian; varints are those of Protocol Buffers. A run is stored
// under keys of 13 bytes, prefix (1) || run id (8) || number (4):
//
//   - page n, from 0: seal (8) || rows. A row is the length that its key shares
//     with that of the row before in its page (varint), the length of the rest
//     (varint), the length of the value (varint), the rest of the key, the value.
//   - from number 2^31 on, the summary in parts of at most 512 KiB, each: seal (8)
//     || bytes. Put together: number of rows (8), of pages (4), length of the
//     fences (8), fences, filter. A fence is the first key of a page, written as a
//     row without a value; the last fence is the last key of the run. The filter
//     is a split block Bloom filter as in Apache Parquet, over XXH64 of the keys,
//     or empty.
//
// A seal is the first 8 bytes of SHA-256 over the key and what follows the seal.
// Ids of runs that a list named are never used again, so a page cannot be taken for
// another, nor for an older one. A page that the store lost is missed when it is
// read.
package runs
