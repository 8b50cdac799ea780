package moderation

// Refusal is why an order was not carried out, in one line for the person who gave it.
type Refusal struct {
	Order  Order
	Reason string
}

// Error is the Reason: a door may show it as it is.
func (r *Refusal) Error() string { return r.Reason }
