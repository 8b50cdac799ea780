package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
)

const (
	magic     = "RVSEAL\x00\x01" // the last byte is the version
	idSize    = 8
	saltSize  = 16
	headSize  = len(magic) + idSize + saltSize
	chunkSize = 4096
	tagSize   = 16
	fullSize  = chunkSize + tagSize // of a chunk in the file
	nonceSize = 12
)

// What can be wrong with a file.
var (
	// ErrNotSealed says that a file is in the clear, or something else.
	ErrNotSealed = errors.New("not a sealed file")
	// ErrKey says that the key that a file was sealed with is not among those at hand.
	ErrKey = errors.New("sealed with a key that is not at hand")
	// ErrDamaged says that what is in a file is not what was written.
	ErrDamaged = errors.New("damaged, or changed by somebody without the key")
	// ErrTruncated says that a file lacks its end.
	ErrTruncated = errors.New("the end is missing")
)

// file encrypts and decrypts the chunks of one file, one at a time.
type file struct {
	header []byte
	aead   cipher.AEAD
	nonce  [nonceSize]byte // of the chunk at hand
}

func newFile(k Key) *file {
	header := make([]byte, headSize)
	copy(header, magic)
	copy(header[len(magic):], k.id())
	rand.Read(header[len(magic)+idSize:]) // never fails (crypto/rand)
	return withKey(k, header)
}

func withKey(k Key, header []byte) *file {
	block, err := aes.NewCipher(k.derive(header[headSize-saltSize:], "rendezvous sealed file", KeySize))
	if err != nil {
		panic(err) // the key's length is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES' blocks are right
	}
	return &file{header: header, aead: aead}
}

// parse finds the key for a file's first headSize bytes.
func parse(header []byte, keys Keyring) (*file, error) {
	if !bytes.HasPrefix(header, []byte(magic)) {
		return nil, ErrNotSealed
	}
	if len(header) < headSize {
		return nil, ErrTruncated
	}
	header = bytes.Clone(header[:headSize])
	for _, k := range keys {
		if bytes.Equal(k.id(), header[len(magic):len(magic)+idSize]) {
			return withKey(k, header), nil
		}
	}
	return nil, ErrKey
}

func (f *file) setNonce(n int64, last bool) {
	binary.BigEndian.PutUint64(f.nonce[3:], uint64(n))
	f.nonce[nonceSize-1] = 0
	if last {
		f.nonce[nonceSize-1] = 1
	}
}

// seal appends chunk n to dst.
func (f *file) seal(dst, clear []byte, n int64, last bool) []byte {
	f.setNonce(n, last)
	return f.aead.Seal(dst, f.nonce[:], clear, f.header)
}

// open decrypts chunk n in place.
func (f *file) open(chunk []byte, n int64, last bool) ([]byte, error) {
	f.setNonce(n, last)
	clear, err := f.aead.Open(chunk[:0], f.nonce[:], chunk, f.header)
	if err != nil {
		return nil, ErrDamaged
	}
	return clear, nil
}
