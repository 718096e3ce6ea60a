package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ErrPEM: not the PEM that was expected: damaged, of another type, with
// headers, or not as many blocks.
var ErrPEM = errors.New("malformed PEM")

const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
	requestBlock     = "CERTIFICATE REQUEST"
	crlBlock         = "X509 CRL"
)

// EncodeCertificates writes one PEM block for each certificate, in order: of a
// chain, the leaf comes first.
func EncodeCertificates(list ...*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, cert := range list {
		out.Write(encodeBlock(certificateBlock, cert.Raw))
	}
	return out.Bytes()
}

// ParseCertificates reads one or more certificates, and nothing else, in order.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	blocks, err := decodeBlocks(data, certificateBlock)
	if err != nil {
		return nil, err
	}
	list := make([]*x509.Certificate, len(blocks))
	for i, der := range blocks {
		if list[i], err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("parsing certificate %d: %w", i, err)
		}
	}
	return list, nil
}

// EncodeKey writes a private key as PKCS#8, in the clear. It fails for keys that
// cannot be exported, such as those of a hardware module.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	if err := checkKey(key.Public()); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	return encodeBlock(keyBlock, der), nil
}

// ParseKey reads one private key in PKCS#8, in the clear. The error is [ErrPEM]
// for other formats, [ErrUnsupportedKey] for other keys; no error holds a part
// of the key.
func ParseKey(data []byte) (crypto.Signer, error) {
	der, err := decodeBlock(data, keyBlock)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("parsing a private key: %w", err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: not %T", ErrUnsupportedKey, parsed)
	}
	if err := checkKey(key.Public()); err != nil {
		return nil, err
	}
	return key, nil
}

// EncodeRequest writes a certificate request.
func EncodeRequest(csr *x509.CertificateRequest) []byte {
	return encodeBlock(requestBlock, csr.Raw)
}

// ParseRequest reads one certificate request. Its signature is not checked
// here, but when it is issued.
func ParseRequest(data []byte) (*x509.CertificateRequest, error) {
	der, err := decodeBlock(data, requestBlock)
	if err != nil {
		return nil, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("parsing a certificate request: %w", err)
	}
	return csr, nil
}

func encodeBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func decodeBlock(data []byte, kind string) ([]byte, error) {
	blocks, err := decodeBlocks(data, kind)
	if err != nil {
		return nil, err
	}
	if len(blocks) != 1 {
		return nil, fmt.Errorf("%w: %d blocks, want one", ErrPEM, len(blocks))
	}
	return blocks[0], nil
}

// decodeBlocks returns the contents of all blocks. Text around them is allowed
// (RFC 7468, 5.2), but pem.Decode passes over damaged blocks as if they were
// text; counting the opening lines tells.
func decodeBlocks(data []byte, kind string) ([][]byte, error) {
	var blocks [][]byte
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != kind || len(block.Headers) != 0 {
			return nil, fmt.Errorf("%w: a block %q with %d headers, want %q with none",
				ErrPEM, block.Type, len(block.Headers), kind)
		}
		blocks = append(blocks, block.Bytes)
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("%w: no block %q", ErrPEM, kind)
	}
	if begun := bytes.Count(data, []byte("-----BEGIN")); begun != len(blocks) {
		return nil, fmt.Errorf("%w: %d blocks begin, %d are whole", ErrPEM, begun, len(blocks))
	}
	return blocks, nil
}
