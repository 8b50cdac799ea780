package rtc

import (
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"

	"rendezvous/mixer/leg/congestion"
)

// feedback is the link of a connection's chain that tells its congestion controller when each packet with a transport-wide number
// leaves, and what the peer says of them. It is its own factory, for one connection.
type feedback struct {
	interceptor.NoOp
	controller *congestion.Controller
}

// NewInterceptor implements interceptor.Factory.
func (f *feedback) NewInterceptor(string) (interceptor.Interceptor, error) { return f, nil }

// BindLocalStream notes what leaves.
func (f *feedback) BindLocalStream(info *interceptor.StreamInfo, writer interceptor.RTPWriter) interceptor.RTPWriter {
	var id uint8
	for _, x := range info.RTPHeaderExtensions {
		if x.URI == sdp.TransportCCURI {
			id = uint8(x.ID)
		}
	}
	if id == 0 {
		return writer
	}
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if b := h.GetExtension(id); len(b) >= 2 {
			f.controller.Sent(uint16(b[0])<<8|uint16(b[1]), h.MarshalSize()+len(payload))
		}
		return writer.Write(h, payload, a)
	})
}

// BindRTCPReader notes what the peer says.
func (f *feedback) BindRTCPReader(reader interceptor.RTCPReader) interceptor.RTCPReader {
	return interceptor.RTCPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, a, err := reader.Read(b, a)
		if err != nil {
			return 0, nil, err
		}
		if a == nil {
			a = make(interceptor.Attributes)
		}
		packets, err := a.GetRTCPPackets(b[:n])
		if err != nil {
			return n, a, nil // who reads it finds that out
		}
		for _, p := range packets {
			if fb, ok := p.(*rtcp.TransportLayerCC); ok {
				f.controller.Feedback(fb)
			}
		}
		return n, a, nil
	})
}
