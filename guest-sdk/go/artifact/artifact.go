// Package artifact keeps bytes of any size with the run, which a step makes or fetches and hands on by reference.
//
// An [Artifact] is what goes into the output of a step; whoever depends on that step opens it. It needs no grant.
package artifact

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/wflo-ai/wflo/guest-sdk/go"
	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_artifact_store"
	"github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_artifact_types"
	witTypes "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

// gathered is the number of bytes that are gathered before the host is given them, and asked of it at a time.
const gathered = 256 << 10

// Artifact is the reference to an artifact: put it into an output, and take it from one.
type Artifact struct {
	Name string `json:"artifact"`
	// Step is the one that made it.
	Step string `json:"step"`
	// Item is the number of the one that made it, where that step fans out.
	Item  *uint32 `json:"item,omitempty"`
	Bytes uint64  `json:"bytes"`
	// Digest is SHA-256 of its bytes.
	Digest string `json:"digest"`
}

// Open opens it, at its beginning.
func (a Artifact) Open() (*Reader, error) {
	address := wflo_artifact_types.Address{Name: a.Name, Step: witTypes.Some(a.Step), Item: witTypes.None[uint32]()}
	if a.Item != nil {
		address.Item = witTypes.Some(*a.Item)
	}
	return open(address)
}

// Open opens an artifact by its name: one of this step, else of the only step before it that has one so called.
func Open(name string) (*Reader, error) {
	none := witTypes.None[string]()
	return open(wflo_artifact_types.Address{Name: name, Step: none, Item: witTypes.None[uint32]()})
}

func open(address wflo_artifact_types.Address) (*Reader, error) {
	said := host.Open(address)
	if said.IsErr() {
		return nil, failed(said.Err())
	}
	return &Reader{said.Ok()}, nil
}

// Create begins an artifact. The name is of letters, digits and `_-.`, and new in this attempt.
func Create(name string) (*Writer, error) {
	said := host.Create(name)
	if said.IsErr() {
		return nil, failed(said.Err())
	}
	writer := &Writer{host: said.Ok()}
	writer.buffered = bufio.NewWriterSize(toHost{writer.host}, gathered)
	return writer, nil
}

// Writer is an artifact that is being written. One that is not finished never was.
type Writer struct {
	host     *host.Writer
	buffered *bufio.Writer
}

type toHost struct{ writer *host.Writer }

func (to toHost) Write(bytes []byte) (int, error) {
	if said := to.writer.Write(bytes); said.IsErr() {
		return 0, failed(said.Err())
	}
	return len(bytes), nil
}

// Write appends bytes.
func (w *Writer) Write(bytes []byte) (int, error) { return w.buffered.Write(bytes) }

// Row writes a value as one line of JSON.
func (w *Writer) Row(row any) error {
	text, err := wflo.Marshal(row)
	if err != nil {
		return err
	}
	_, err = w.buffered.Write(append(text, '\n'))
	return err
}

// Finish makes the artifact, and gives the reference to hand it on by.
func (w *Writer) Finish() (Artifact, error) {
	if err := w.buffered.Flush(); err != nil {
		return Artifact{}, err
	}
	said := host.WriterFinish(w.host)
	if said.IsErr() {
		return Artifact{}, failed(said.Err())
	}
	return Read(said.Ok())
}

// Read reads a reference.
func Read(reference string) (Artifact, error) {
	var artifact Artifact
	if err := json.Unmarshal([]byte(reference), &artifact); err != nil {
		return artifact, &wflo.Invalid{Message: fmt.Sprintf("it is no reference to an artifact: %v", err)}
	}
	return artifact, nil
}

// Reader is an artifact that is being read. Close it when it has been: only so many may be open at a time.
type Reader struct{ host *host.Reader }

// Size is its size in bytes.
func (r *Reader) Size() int64 { return int64(r.host.Size()) }

// Artifact is the reference to it.
func (r *Reader) Artifact() (Artifact, error) { return Read(r.host.Reference()) }

// Read reads the next bytes.
func (r *Reader) Read(into []byte) (int, error) {
	if len(into) == 0 {
		return 0, nil
	}
	said := r.host.Read(uint32(min(len(into), gathered)))
	if said.IsErr() {
		return 0, failed(said.Err())
	}
	bytes := said.Ok()
	if len(bytes) == 0 {
		return 0, io.EOF
	}
	return copy(into, bytes), nil
}

// SeekTo goes on at another byte.
func (r *Reader) SeekTo(at uint64) { r.host.Seek(at) }

// Close gives the host its end back.
func (r *Reader) Close() error {
	r.host.Drop()
	return nil
}

// Rows reads lines of JSON, each as a value of type T, and hands them on until one is not taken. Empty lines are passed over.
func Rows[T any](from io.Reader, take func(row T) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, gathered), 16<<20)
	for number := 1; lines.Scan(); number++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var row T
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return &wflo.Invalid{Message: fmt.Sprintf("line %d: %v", number, err)}
		}
		if err := take(row); err != nil {
			return err
		}
	}
	return lines.Err()
}

func failed(why host.Error) error { return wflo.ArtifactError(why) }
