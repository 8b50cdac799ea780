// What the page and the host say to each other over the WebSocket: docs/page-protocol.md, in types. A test
// (signalling/web) holds this file, that document and the host's own messages together.

// --- from the page

/**
 * The first message of a page that comes in; session is one that it has lost, if it was here before; inflate says that it takes packed
 * messages (static/packed.js).
 */
export interface Join { type: 'join'; room: string; name: string; pin: string; token: string; watch: boolean; session: string; inflate: boolean }
/** The first message on a new WebSocket of a page that is in. */
export interface Resume { type: 'resume'; session: string; inflate: boolean }
export interface Offer { type: 'offer'; sdp: string }
export interface Candidate { type: 'candidate'; candidate: RTCIceCandidateInit }
/** What is on. Answered by a result only if it failed, as it has no n. */
export interface MediaState { type: 'media'; mic: boolean; camera: boolean; screen: boolean }
export interface OrderRequest { type: 'order'; n: number; order: Order }
export interface Say { type: 'chat'; n: number; text: string }
/** text says what becomes of who asks to be a contact. */
export interface DecideContact { type: 'contact'; n: number; contact: string; text: 'accept' | 'discard' | 'ban' }
export interface AskRecordings { type: 'recordings' }
export interface AskAudit { type: 'audit' }
/** from and minutes are of a meeting that there is to be, for the calendar; without, the room's own times are. */
export interface AskInvite { type: 'invite'; from?: Time; minutes?: number }
export interface AskLinks { type: 'links' }
/** hours is how long the link is good, a month at most. Answered by links besides. */
export interface MakeLink { type: 'make-link'; n: number; role: 'guest' | 'moderator'; name: string; hours: number }
export interface RevokeLink { type: 'revoke-link'; n: number; link: string }
export interface NameRecording { type: 'name-recording'; n: number; recording: string; text: string }
export interface AskContacts { type: 'contacts' }
export interface Ping { type: 'ping' }
export interface Leave { type: 'leave' }

export type FromPage = Join | Resume | Offer | Candidate | MediaState | OrderRequest | Say | DecideContact |
  AskRecordings | NameRecording | AskAudit | AskInvite | AskLinks | MakeLink | RevokeLink | AskContacts | Ping | Leave;

/** What is answered by a result with the same n, which the signalling adds. */
export type Request = Omit<OrderRequest, 'n'> | Omit<Say, 'n'> | Omit<DecideContact, 'n'> | Omit<NameRecording, 'n'> | Omit<MakeLink, 'n'> | Omit<RevokeLink, 'n'>;

// --- from the host

export interface Welcome {
  type: 'welcome'; session: string; id: string; room: string; title: string; ice: RTCIceServer[]; resumed: boolean;
  recordings: boolean; contacts: boolean;
}
/** code is one of those in docs/page-protocol.md, or the page's own "network": the host was not reached. */
export interface Refused { type: 'refused'; code: string; text: string }
export interface Admitted { type: 'admitted' }
export interface Answer { type: 'answer'; sdp: string }
/** The room if whole, else what has changed since the last one: static/roster.js makes one of both. */
export interface InfoMessage { type: 'info'; whole?: boolean; head?: Head; set?: ParticipantTold[]; gone?: string[] }
export interface ChatLine { type: 'chat'; message: Message; past?: boolean }
export interface ReactionMessage { type: 'reaction'; from: string; name: string; text: string }
export interface NoticeMessage { type: 'notice'; notice: Notice }
export interface Result { type: 'result'; n: number; ok: boolean; text?: string }
export interface Recordings { type: 'recordings'; list: RecordingLink[]; text?: string }
export interface Audit { type: 'audit'; list: AuditEntry[] }
/** pin is there for those who may tell it, from and until if the room is not open always, calendar (iCalendar) with a time; links: there are some to ask for. */
export interface Invite { type: 'invite'; ways: Way[]; pin?: string; from?: Time; until?: Time; text: string; calendar?: string; links?: boolean }
/** made is the id of the link that this page has just made. */
export interface Links { type: 'links'; list: PageLink[]; made?: string }
export interface Contacts { type: 'contacts'; list: ContactRequest[] }
/** estimate is in bit/s, 0 if it is not known; media is how the host sees the connection. */
export interface Pong { type: 'pong'; estimate: number; media: string; network: Network }
export interface HostError { type: 'error'; text: string }
export interface Ended { type: 'ended'; reason: EndReason }

export type FromHost = Welcome | Refused | Admitted | Answer | InfoMessage | ChatLine | ReactionMessage | NoticeMessage | Result |
  Recordings | Audit | Invite | Links | Contacts | Pong | HostError | Ended;

// --- what they are made of

/** Times are RFC 3339. */
type Time = string;

export type Role = 'observer' | 'listener' | 'speaker' | 'moderator' | 'host';

/** An order: docs/moderation.md. */
export interface Order { action: string; target?: string; targets?: string[]; media?: string; on?: boolean; text?: string; n?: number }

/** The room without its participants. */
export interface Head {
  room: string; title: string; width: number; height: number; layout: 'auto' | 'grid' | 'one-big-with-small' | 'one-big' | 'side-by-side'; recording: 'off' | 'on' | 'paused';
  locked: boolean; lobby: boolean; lecture: boolean; selfUnmute: boolean; hideNonVideo: boolean; endWithHost: boolean;
  began?: Time; ends?: Time; max?: number;
}

/**
 * A participant as the host tells of them. What is not there is so as for nearly all: the door is "web" and its connection "WebRTC", the
 * role "speaker", what is on or off is off, and the streams are one of the label "main", of which nothing is shown; of an observer none.
 * talkTime is in seconds, when this was told; hand since when it is up.
 */
export interface ParticipantTold {
  id: string; name: string; door?: string; connection?: string; address?: string; role?: Role; waiting?: boolean;
  muted?: boolean; selfMuted?: boolean; talking?: boolean; hand?: Time; floor?: boolean; talkTime?: number;
  recording?: boolean; streams?: StreamTold[]; network?: NetworkClass;
}
/** A participant as the page has them. */
export type Participant = ParticipantTold & {
  door: string; connection: string; role: Role; muted: boolean; selfMuted: boolean; talking: boolean; talkTime: number; streams: Stream[];
};

export type NetworkClass = 'good' | 'fair' | 'poor';

/**
 * The path between host and page as the host sees it: bit/s, ms, percent (down is towards the page), and the picture that
 * is sent by it. What is not known is not there.
 */
export interface Network {
  class?: NetworkClass; estimate?: number; queue?: number; roundTrip?: number; lossDown?: number; lossUp?: number;
  rung?: number; width?: number; height?: number; fps?: number; bitrate?: number; reason?: string;
}

/** rect is where on the canvas the picture is, in pixels; not there if it is not shown. */
export interface StreamTold { label: 'main' | 'screen'; rect?: Rectangle; active?: boolean; video?: boolean; muted?: boolean }
/** A stream as the page has it: rect is empty if it is not shown. */
export type Stream = StreamTold & {rect: Rectangle; video: boolean};
export interface Rectangle { Min: Point; Max: Point }
export interface Point { X: number; Y: number }

/** from is '' where the room itself speaks, or somebody whom it knows by name alone. */
export interface Message { id: string; from: string; name: string; text: string; time: Time }
export interface Notice { kind: string; text?: string }

export type EndReason = 'left' | 'removed' | 'banned' | 'denied' | 'ended' | 'shutdown' | 'timeout' | 'moved' | 'replaced';

/** duration is in seconds, size in bytes; url, and chapters (WebVTT), work for six hours, and while the page is in the room. */
export interface RecordingLink {
  id: string; room: string; title?: string; started: Time; duration: number; size: number; type: string; live: boolean;
  state: string; error?: string; url: string; chapters: string;
}

export interface AuditEntry {
  time: Time; room: string; actor?: string; name: string; identity?: string; door: string; role: string;
  target?: string; targetName?: string; targetIdentity?: string; order: Order; result: 'done' | 'refused'; reason?: string;
}

/**
 * A way into the room; code is its QR code as an SVG path, size squares wide. Of one that is pending the address follows. Of a telephone the address
 * is a tel: URI, and keys are what is keyed in when it has answered.
 */
export interface Way { kind: 'link' | 'phone' | 'telephone' | 'jami'; address: string; keys?: string; pending?: boolean; size: number; code: string }
/** A link that lets people in: made by a name, good until it expires. */
export interface PageLink { id: string; room: string; role: string; name?: string; by?: string; made: Time; expires: Time; url: string }
export interface ContactRequest { id: string; name?: string; received: Time }

// --- by HTTP

/** GET /r/{room}/about, before anybody joins: recorded, if who joins now will be; embed are the origins that may have the page in a frame. A refusal has text and no more. */
export interface About { room: string; title: string; needsPin: boolean; takesTokens: boolean; recorded: boolean; embed: string[] }
