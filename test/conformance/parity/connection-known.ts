/** What of the stories about connections differs on purpose, and why: docs/differences-from-envoy.md says so too. */
import type { StoryPart } from './connection-story.ts'

export interface KnownDifference {
  readonly stories: RegExp
  /** Not compared at all. */
  readonly parts: readonly StoryPart[]
  /** Lines that are not compared. */
  readonly stats?: readonly RegExp[]
  readonly why: string
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    stories: /^pipelined requests .* those of the proxy among them$/,
    parts: ['client', 'origin', 'log', 'stats'],
    why: 'Envoy ends a connection with more than two answers of its own in its queue; ours are written as they come',
  },
  {
    stories: /^a client that leaves with requests in its pipeline$/,
    parts: ['origin', 'log', 'stats'],
    why: 'Envoy may see the reset behind bytes that it does not read only later',
  },
  {
    stories:
      /^(a bad|no HTTP at all|a second request whose body|a (second )?head that|a request line that|a client that ends its direction in the middle of a head|HTTP\/1.0 where|an upgrade named|an HTTP\/2 client that breaks|CONNECT with a body)/,
    parts: ['log'],
    why: 'of a head that was refused the log holds what had been read; details name the rule that was broken',
  },
  {
    stories: /^an HTTP\/2 client that (breaks a rule|says GOAWAY)|^an upgrade named in HTTP\/2/,
    parts: ['client'],
    why: 'a GOAWAY says why the connection ends, and answers that of the client',
  },
  {
    stories: /^an early answer, and a client that sends on$/,
    parts: ['client'],
    why: 'Envoy closes the socket with bytes unread; Tulle ends its direction and reads on for a while',
  },
  {
    stories: /^an origin resets at the end of an open body/,
    parts: ['client', 'log', 'stats'],
    why: 'the client must see that something is missing',
  },
  {
    stories: /^an origin (ends|resets) behind an interim response/,
    parts: ['log', 'stats'],
    why: 'to Envoy an interim response is the beginning of the answer',
  },
  {
    stories:
      /(leaves, of an HTTP\/2 origin|to HTTP\/2|origin that is given up|an HTTP\/2 origin that refuses it)$/,
    parts: ['origin'],
    stats: [/\.http2\.rx_reset: /],
    why: 'a request that is given up is reset with CANCEL, as RFC 9113 §7 has it; Envoy says INTERNAL_ERROR',
  },
  {
    stories: /(retry waits(, for HTTP\/2)?|second try switches)$/,
    parts: [],
    stats: [/_with_active_rq: /],
    why: 'the rest of a response that is retried is read; Envoy ends its connection',
  },
  {
    stories: /^a websocket to an HTTP\/2 origin that knows none$/,
    parts: [],
    stats: [/\.http2\.rx_reset: /],
    why: 'an origin that has not said that it knows them is not asked; Envoy asks, and is reset',
  },
  {
    stories: /HTTP\/2 origin (says GOAWAY|that grows too old) before it answers$/,
    parts: [],
    stats: [/\.upstream_cx_protocol_error: /],
    why: 'Envoy counts one when a connection that drains ends, which breaks no rule',
  },
  {
    stories: /hints and 100 before a response$/,
    parts: ['client', 'stats'],
    why: 'Envoy drops all interim responses but the first',
  },
  {
    stories: /^passing: (hints|102)/,
    parts: ['client'],
    why: 'Envoy calls every interim response but 100 Unknown',
  },
  {
    stories: /^an expectation of HTTP\/1\.0$/,
    parts: ['client'],
    stats: [/\.downstream_rq_(1xx|completed): /],
    why: 'RFC 9110 §15.2: a client of HTTP/1.0 knows no interim responses',
  },
  {
    stories: /^an upgrade .* (has a length|has chunks|that is refused|with a body)$/,
    parts: ['client', 'origin', 'log', 'stats'],
    why: 'with a body it is none: see upgrade-stories.test.ts; the connection of one that is refused is used again',
  },
  {
    stories:
      /^an upgrade .* (length of nothing|bytes behind it)$|^a websocket (in HTTP\/2|whose origin ends)/,
    parts: ['origin', 'log', 'stats'],
    why: 'each direction of a tunnel ends by itself',
  },
  {
    stories: /^CONNECT that ends here, whose origin ends$/,
    parts: [],
    stats: [/_cx_destroy_(active|local|remote)/, /_rx_reset: /],
    why: 'each direction of a tunnel ends by itself',
  },
  {
    stories: /^a websocket in HTTP\/2 with bytes both ways$/,
    parts: ['client'],
    why: 'each direction of a tunnel ends by itself',
  },
]
