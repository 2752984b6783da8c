package jsonscan

// Edit is what happens to a value on a rewrite.
type Edit int8

// The edits. Keep is none.
const (
	Keep Edit = iota
	Remove
	Replace
)

// Rules say what happens where. They form a tree: see Add.
type Rules struct {
	step     Step
	edit     Edit
	mark     int
	children []*Rules
}

// Add lets mark be told to Rewriter.Value when the value at path is met (Replace),
// or the value go, with its key (Remove). It reports whether the path is new and
// neither leads through another's nor ends inside it.
func (r *Rules) Add(path Path, edit Edit, mark int) bool {
	for _, step := range path {
		if r.edit != Keep {
			return false
		}
		r = r.child(step)
	}
	if r.edit != Keep || len(r.children) > 0 {
		return false
	}
	r.edit, r.mark = edit, mark
	return true
}

func (r *Rules) child(step Step) *Rules {
	for _, c := range r.children {
		if c.step == step {
			return c
		}
	}
	c := &Rules{step: step}
	r.children = append(r.children, c)
	return c
}

// of is what is said about one entry, or nil.
func (r *Rules) of(e *entries) *Rules {
	if r == nil {
		return nil
	}
	for _, c := range r.children {
		if e.closing == '}' && sameKey(e.key, c.step.Key) || e.closing == ']' && c.step.Index == e.index {
			return c
		}
	}
	return nil
}

// Rewriter copies JSON text with some values changed. Everything else, blanks and
// the order of keys included, stays as it was.
type Rewriter struct {
	Rules *Rules
	// Value appends what takes the place of a value that a rule replaces.
	Value func(dst []byte, mark int, value []byte) []byte
	// String, if not nil, is asked about each string value that no rule touches, and
	// gives what takes its place, or nil if it stays.
	String func(value []byte) []byte

	b      []byte
	out    []byte
	copied int // how much of b is in out, or left out of it
	edits  int
}

// Rewrite appends the rewritten text to dst[:0]. changed is false, and so is out
// nil, if nothing was changed; ok is false if the text, anywhere, is no JSON.
func (w *Rewriter) Rewrite(dst, text []byte) (out []byte, changed, ok bool) {
	w.b, w.out, w.copied, w.edits = text, dst[:0], 0, 0
	end := w.value(skipBlank(text, 0), 0, w.Rules)
	if end < 0 || skipBlank(text, end) != len(text) {
		return nil, false, false
	}
	if w.edits == 0 {
		return nil, false, true
	}
	return append(w.out, text[w.copied:]...), true, true
}

// keepTo copies what has not been copied yet, up to at.
func (w *Rewriter) keepTo(at int) {
	if at > w.copied {
		w.out = append(w.out, w.b[w.copied:at]...)
		w.copied = at
	}
}

// value is where the value at at ends, which lies depth deep; rules are about it.
func (w *Rewriter) value(at, depth int, rules *Rules) int {
	if at >= len(w.b) {
		return -1
	}
	if rules == nil && w.String == nil {
		return skipValue(w.b, at, depth)
	}
	if rules != nil && rules.edit == Replace {
		return w.replace(at, depth, rules.mark)
	}
	switch w.b[at] {
	case '{', '[':
		return w.container(at, depth, rules)
	case '"':
		return w.string(at)
	default:
		return skipScalar(w.b, at)
	}
}

func (w *Rewriter) replace(at, depth, mark int) int {
	end := skipValue(w.b, at, depth)
	if end < 0 {
		return -1
	}
	w.keepTo(at)
	w.out = w.Value(w.out, mark, w.b[at:end:end])
	w.copied = end
	w.edits++
	return end
}

func (w *Rewriter) string(at int) int {
	end := skipString(w.b, at)
	if end < 0 || w.String == nil {
		return end
	}
	if other := w.String(w.b[at:end:end]); other != nil {
		w.keepTo(at)
		w.out = append(w.out, other...)
		w.copied = end
		w.edits++
	}
	return end
}

// container copies an object or array. Entries that go take the comma before them
// along or, if none before them stays, the one after.
func (w *Rewriter) container(at, depth int, rules *Rules) int {
	if depth >= maxDepth {
		return -1
	}
	e := entriesOf(w.b, at)
	kept, from := 0, skipBlank(w.b, at+1) // from is where the entry and the comma before it start
	for e.entry() {
		rule := rules.of(&e)
		if rule == nil || rule.edit != Remove {
			if kept++; kept == 1 && e.index > 0 {
				w.copied = skipBlank(w.b, skipBlank(w.b, from)+1) // all before it went: their commas too
			}
			if e.at = w.value(e.at, depth+1, rule); e.at < 0 {
				return -1
			}
			from = e.at
			continue
		}
		end := skipValue(w.b, e.at, depth+1)
		if end < 0 {
			return -1
		}
		w.keepTo(from)
		e.at, from, w.copied = end, end, end
		w.edits++
	}
	return e.at
}
