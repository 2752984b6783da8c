package meta

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strconv"
	"strings"
	"testing"
)

// The state machine may be replayed anywhere at any time: nothing outside its input may reach it.
func TestNoClockFileSocketLockOrGoroutineIsInside(t *testing.T) {
	allowed := map[string]bool{"bytes": true, "cmp": true, "crypto/sha256": true, "encoding/base64": true, "encoding/binary": true, "errors": true,
		"fmt": true, "iter": true, "maps": true, "math": true, "slices": true, "strings": true}
	set := token.NewFileSet()
	pkgs, err := parser.ParseDir(set, ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0)
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, pkg := range pkgs {
		for _, file := range pkg.Files {
			files++
			for _, im := range file.Imports {
				if path, _ := strconv.Unquote(im.Path.Value); !allowed[path] {
					t.Errorf("%s: import of %s", set.Position(im.Pos()), path)
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType, *ast.SendStmt:
					t.Errorf("%s: %T", set.Position(n.Pos()), n)
				}
				return true
			})
		}
	}
	if files < 10 {
		t.Fatalf("only %d files were looked at", files)
	}
}
