package sip

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// credentials are what a registrar or trunk knows us by.
type credentials struct{ user, password string }

func (u *Upstream) credentials() credentials {
	if u.AuthUser != "" {
		return credentials{u.AuthUser, u.Password}
	}
	return credentials{u.User, u.Password}
}

// errNoChallenge means that a 401 or 407 asked for something we cannot do.
var errNoChallenge = errors.New("no usable digest challenge")

// authorise makes the request again with an answer to the challenge of res (RFC 3261 §22.2).
func (c credentials) authorise(req *sip.Request, res *sip.Response) (*sip.Request, error) {
	asks, answers := "WWW-Authenticate", "Authorization"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		asks, answers = "Proxy-Authenticate", "Proxy-Authorization"
	}
	for _, h := range res.GetHeaders(asks) {
		challenge, err := digest.ParseChallenge(h.Value())
		if err != nil {
			continue
		}
		challenge.Algorithm = strings.ToUpper(challenge.Algorithm)
		if !digest.CanDigest(challenge) {
			continue
		}
		answer, err := digest.Digest(challenge, digest.Options{
			Method: string(req.Method), URI: req.Recipient.String(), Count: 1,
			Username: c.user, Password: c.password,
		})
		if err != nil {
			return nil, fmt.Errorf("answer digest challenge: %w", err)
		}
		again := req.Clone()
		again.RemoveHeader(answers)
		again.AppendHeader(sip.NewHeader(answers, answer.String()))
		again.CSeq().SeqNo++
		again.Via().Params.Add("branch", sip.GenerateBranch())
		return again, nil
	}
	return nil, errNoChallenge
}

// challenged reports whether an answer asks for credentials.
func challenged(res *sip.Response) bool {
	return res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired
}

// maxChallenges bounds how often one request is challenged: once, and once more
// if the nonce was stale.
const maxChallenges = 2

// doAuthorised sends a request, with credentials if they are asked for. It returns
// the request as it was sent last.
func (d *Door) doAuthorised(ctx context.Context, req *sip.Request, c credentials,
	send func(context.Context, *sip.Request) (*sip.Response, error),
) (*sip.Request, *sip.Response, error) {
	for asked := 0; ; asked++ {
		res, err := send(ctx, req)
		if err != nil || !challenged(res) || c.user == "" || asked == maxChallenges {
			return req, res, err
		}
		if req, err = c.authorise(req, res); err != nil {
			return req, res, err
		}
	}
}
