// Package api answers Kafka's requests: one file per API key, named by its number, and one table of all versions served
// (table.go). A request is framed by package server, looked up in the table, checked by its shape (shape.go), decoded by
// kmsg, and given to its function; the answer is encoded straight into a pooled response buffer. Produce and Fetch, the two
// keys that carry records, read and write their own bytes: the records of a produce are slices of the frame, those of a
// fetch are read from the log into the response.
//
// Errors of the packages below become Kafka's codes in one place: codes.go.
package api
