// Package jsonscan walks over JSON as it stands in a record, without building
// anything from it: it finds what lies at a path, or copies the text with what
// lies at some paths replaced. All of the text is checked against RFC 8259 (bytes
// above 127 are not), as what is no JSON must not match. Of a key that an object
// holds twice, a lookup takes the last and a rewrite takes all.
package jsonscan
