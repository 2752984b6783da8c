package api

// refusal is an error that this package itself answers: a code, and words for the client.
type refusal struct {
	code    int16
	message string
}

func (r *refusal) Error() string { return r.message }
