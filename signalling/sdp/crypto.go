package sdp

import "rendezvous/signalling/sdes"

// maxCryptos is how many lines with keys one section may have.
const maxCryptos = 16

// Cryptos returns the usable crypto lines of the section in order.
func (m *Media) Cryptos() []sdes.Crypto {
	var out []sdes.Crypto
	for _, a := range m.Attributes {
		if a.Key == "crypto" && len(out) < maxCryptos {
			if c, err := sdes.Parse(a.Value); err == nil {
				out = append(out, c)
			}
		}
	}
	return out
}
