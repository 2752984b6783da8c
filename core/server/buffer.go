package server

import "sync"

// Buffer is a pooled byte slice. Whoever holds it may reslice, append to and replace B.
type Buffer struct {
	B []byte
}

// bufferClasses are the capacities that are pooled. Each leaves room for a request's overhead above a power of two, because
// clients batch by powers of two.
var bufferClasses = [...]int{1 << 10, 4 << 10, 18 << 10, 72 << 10, 144 << 10, 288 << 10, 544 << 10, 1088 << 10, 2176 << 10, 4352 << 10}

// maxPooled is the largest capacity that goes back to the pool.
const maxPooled = 4352 << 10

// Pool recycles buffers by size class. The zero Pool is ready to use; its methods may be called from any goroutine.
type Pool struct {
	classes [len(bufferClasses)]sync.Pool
}

// Get returns an empty buffer with a capacity of at least n. Beyond the largest class it is allocated to measure.
func (p *Pool) Get(n int) *Buffer {
	for i, size := range bufferClasses {
		if n > size {
			continue
		}
		if b, ok := p.classes[i].Get().(*Buffer); ok {
			b.B = b.B[:0]
			return b
		}
		return &Buffer{B: make([]byte, 0, size)}
	}
	return &Buffer{B: make([]byte, 0, n)}
}

// Put gives b back. The caller must not use it, nor any slice of it, afterwards.
func (p *Pool) Put(b *Buffer) {
	c := cap(b.B)
	if c > maxPooled {
		return
	}
	for i := len(bufferClasses) - 1; i >= 0; i-- {
		if c >= bufferClasses[i] {
			p.classes[i].Put(b)
			return
		}
	}
}
