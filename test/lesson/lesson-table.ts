/**
 * What went wrong in other proxies, the rule that follows, and the tests that hold this one to it. Rendered as
 * docs/reference/security-lessons.md; a test checks that every test that is named here exists.
 */

/** A file, and what stands in it: the title of a test, or the name of a case. */
export type Proof = readonly [file: string, title: string]

export interface Lesson {
  /** Whose they are; the first names the lesson. */
  readonly ids: readonly string[]
  readonly wrong: string
  readonly rule: string
  readonly proofs: readonly Proof[]
  /** Why there is nothing to prove. */
  readonly notApplicable?: string
}

const cve = 'test/lesson/cve.test.ts'
const flood = 'test/integration/proxy-http2-flood.test.ts'
const requests = 'test/corpus/requests.yaml'
const http2 = 'test/corpus/http2-requests.yaml'
const responses = 'test/corpus/responses.yaml'
const fuzz = 'test/differential/fuzz.test.ts'

function here(...titles: readonly string[]): readonly Proof[] {
  return titles.map((title) => [cve, title])
}

function named(file: string, ...names: readonly string[]): readonly Proof[] {
  return names.map((name) => [file, `name: ${name}\n`])
}

export const lessons: readonly Lesson[] = [
  {
    ids: ['CVE-2019-9900 (Envoy)'],
    wrong: 'NUL in a value was passed on, and matchers stopped at it',
    rule: 'control characters are refused in names and values, by the codec',
    proofs: [
      ...here('CVE-2019-9900: a NUL in a value', 'CVE-2019-9900: a NUL in a name'),
      [flood, 'CVE-2019-9900: a NUL in a value'],
      ...named(responses, 'nul-in-value'),
    ],
  },
  {
    ids: ['CVE-2019-9901 (Envoy)'],
    wrong: 'a path was not normalized before it was matched',
    rule: 'one spelling, once, before anything looks; what is matched is forwarded',
    proofs: here(
      'CVE-2019-9901: dots',
      'CVE-2019-9901: escaped dots',
      'CVE-2019-9901: what is matched is what is forwarded',
    ),
  },
  {
    ids: ['CVE-2021-29492 (Envoy)'],
    wrong: 'proxy and application read %2F and %5C differently',
    rule: 'a listener says what becomes of them: kept, refused, redirected, unescaped',
    proofs: here('CVE-2021-29492: escaped slashes', 'CVE-2021-29492: escaped back slashes'),
  },
  {
    ids: ['CVE-2026-73551, -73511 (Envoy)'],
    wrong: '`..;x` is no dot segment to the proxy, and one to Tomcat',
    rule: 'parameters do not hide dots',
    proofs: here(
      'CVE-2026-73551: dots with a parameter',
      'CVE-2026-73511: dots with a parameter and a value',
    ),
  },
  {
    ids: ['CVE-2021-32779 (Envoy)', 'CVE-2021-39156 (Istio)', 'CVE-2023-45539 (HAProxy)'],
    wrong: 'a fragment stayed in the path and defeated its rules',
    rule: 'a fragment is refused',
    proofs: [
      ...here('CVE-2021-32779: a fragment is refused'),
      ...named(requests, 'fragment-in-target'),
      ...named(http2, 'path-fragment'),
    ],
  },
  {
    ids: ['CVE-2021-39155 (Istio)', 'GHSA-w44g-8m76-8gc5'],
    wrong: 'hosts were compared with their case, and methods of HTTP/2 without',
    rule: 'hosts are lower case from the codec on; methods keep their case everywhere',
    proofs: here(
      'CVE-2021-39155: a host is compared in lower case',
      'GHSA-w44g-8m76-8gc5: a method in another case is another method',
    ),
  },
  {
    ids: ['CVE-2021-31920 (Istio)'],
    wrong: 'several slashes led around a policy',
    rule: 'the normalizer that everything uses merges them',
    proofs: here('CVE-2021-31920: slashes'),
  },
  {
    ids: ['CVE-2020-8595 (Istio)'],
    wrong: 'an exact path was compared with its query',
    rule: 'a query is cut off before a path is matched',
    proofs: here('CVE-2020-8595: a query is no part of the path that is matched'),
  },
  {
    ids: ['CVE-2019-14993 (Istio)', 'CVE-2026-73552 (Envoy)'],
    wrong: 'regular expressions took exponential time, or failed open',
    rule: 'expressions run in linear time (RE2)',
    proofs: [
      ...here('CVE-2019-14993: an expression that backtracks elsewhere is answered at once'),
      ['src/proxy/route/regex.test.ts', 'a pattern that backtracks elsewhere is linear here'],
    ],
  },
  {
    ids: ['CVE-2026-39350 (Istio)'],
    wrong: 'a dot in the name of a service account was read as an expression',
    rule: 'identities are compared as text',
    proofs: here('CVE-2026-39350: a dot in a name stands for a dot'),
  },
  {
    ids: ['CVE-2020-25017, CVE-2026-26308 (Envoy)'],
    wrong: 'a policy saw the first of several fields',
    rule: 'matchers see all values; what may stand once is refused twice',
    proofs: here(
      'CVE-2020-25017: two lengths',
      'CVE-2020-25017: two hosts',
      'CVE-2026-26308: a matcher sees all values of a field',
    ),
  },
  {
    ids: ['CVE-2024-45806 (Envoy)'],
    wrong: 'x-envoy-* was believed from private addresses',
    rule: 'no address is internal unless it is listed',
    proofs: here('CVE-2024-45806: a neighbour is not internal'),
  },
  {
    ids: ['CVE-2023-27487 (Envoy)'],
    wrong: 'x-envoy-original-path was believed from clients',
    rule: 'an edge removes what only proxies say',
    proofs: here('CVE-2023-27487: an edge does not believe what a client says its path was'),
  },
  {
    ids: ['CVE-2023-27491 (Envoy)', 'CVE-2026-42926 (nginx)'],
    wrong: 'what HTTP/2 allows in fields became lines of HTTP/1.1',
    rule: 'a message is checked anew where it changes its protocol',
    proofs: [
      [flood, 'CVE-2023-27491: a line break in a value'],
      [flood, 'CVE-2023-27491: a name in upper case'],
      ...named(http2, 'crlf-in-value', 'crlf-in-name', 'method-with-request', 'path-with-request'),
      [
        'test/differential/corpus.test.ts',
        'an upstream in HTTP/2 reads the messages that we route',
      ],
    ],
  },
  {
    ids: ['CVE-2023-27493, CVE-2025-66220, CVE-2026-47778 (Envoy)', 'CVE-2021-44532 (Node)'],
    wrong: 'names of certificates went into headers as they were, or were cut at NUL',
    rule: 'they are escaped in headers and logs, and compared whole',
    proofs: here(
      'CVE-2023-27493: a certificate’s name makes no header and no element of its own',
      'CVE-2021-44532: names of a certificate that cannot be told apart are none',
    ),
  },
  {
    ids: ['CVE-2023-44487'],
    wrong: 'streams were opened and reset without end (rapid reset)',
    rule: 'early resets are counted, and the connection ends',
    proofs: [
      [flood, 'CVE-2023-44487: a client that opens streams and resets them at once is cut off'],
    ],
  },
  {
    ids: [
      'CVE-2024-27316 (httpd), CVE-2024-30255 (Envoy), CVE-2024-27983 (Node)',
      'CVE-2026-47774 (Envoy)',
    ],
    wrong: 'header blocks had no end, or cookies were not counted',
    rule: 'a ceiling on bytes and frames before END_HEADERS, and on all fields after decompression',
    proofs: [
      [flood, 'CVE-2024-27316: a header block without end is cut off before it has filled memory'],
      [flood, 'CVE-2024-27316: many small CONTINUATION frames are an attack too'],
      [flood, 'CVE-2026-47774: cookie crumbs count like every other field'],
      [flood, 'CVE-2016-6581: fields that unpack to more than the ceiling reset their stream only'],
    ],
  },
  {
    ids: [
      'CVE-2020-8659, CVE-2020-12603, CVE-2020-12604, CVE-2020-12605 (Envoy)',
      'CVE-2019-9511 to -9518',
    ],
    wrong: 'small frames, slow readers and control frames grew memory',
    rule: 'ceilings count what a buffer costs; what waits is bounded and has a time limit',
    proofs: [
      ['src/proxy/http/held-chunks.test.ts', 'CVE-2020-8659: single octets share blocks'],
      [
        flood,
        'CVE-2019-9511, -9517: a client that opens no window for its answer is reset in time',
      ],
      [flood, 'CVE-2019-9512: a flood of PING is an outbound_control_flood'],
      [flood, 'CVE-2019-9513: a flood of PRIORITY'],
      [flood, 'CVE-2019-9514: a flood of RST_STREAM'],
      [flood, 'CVE-2019-9515: a flood of SETTINGS'],
      [flood, 'CVE-2019-9518: frames that carry nothing'],
    ],
  },
  {
    ids: ['CVE-2022-29225, CVE-2026-48044 (Envoy)'],
    wrong: 'compressed bodies unpacked without limit',
    rule: 'a limit on the ratio and on the output',
    proofs: [],
    notApplicable: 'bodies are never unpacked',
  },
  {
    ids: ['CVE-2021-40346, CVE-2023-25725, CVE-2023-40225 (HAProxy)'],
    wrong: 'a long name overflowed, an empty one ended the list, an empty length was forwarded',
    rule: 'they are refused or forwarded, and nothing is dropped in silence',
    proofs: here(
      'CVE-2021-40346: a name longer than a small integer holds is a name like any other',
      'CVE-2023-25725: an empty name',
      'CVE-2023-40225: a length of no digits',
    ),
  },
  {
    ids: [
      'CVE-2019-15605, CVE-2022-32213 to -32215, CVE-2022-35256, CVE-2024-27982, CVE-2025-23167 (Node)',
    ],
    wrong: 'codings, folds, lone carriage returns and white space were read loosely',
    rule: 'a line ends in CRLF, a coding is chunked, and everything else is refused',
    proofs: [
      ...here(
        'CVE-2019-15605: a length beside a coding',
        'CVE-2022-32213: a coding that is none',
        'CVE-2022-32215: a folded coding',
        'CVE-2022-35256: a coding that ends without a line feed',
        'CVE-2024-27982: white space before a length',
        'CVE-2025-23167: a carriage return and no line feed',
      ),
      ...named(requests, 'cl-te-both', 'te-obs-fold', 'te-space-before-colon', 'cr-x-after-head'),
    ],
  },
  {
    ids: ['CVE-2021-22960, CVE-2024-22019 (Node)', 'CVE-2025-55315 (Kestrel)'],
    wrong: 'extensions of chunks were unbounded, or ended at a line feed',
    rule: 'they are checked, counted and never forwarded',
    proofs: here(
      'CVE-2021-22960: an extension of a chunk is never forwarded',
      'CVE-2025-55315: a line feed in an extension',
      'CVE-2024-22019: extensions without end',
    ),
  },
  {
    ids: ['CVE-2024-23326, CVE-2025-64763 (Envoy)'],
    wrong: '200 was taken for a switch of protocols, and early bytes of a tunnel for a request',
    rule: 'a tunnel begins with 101, or 2xx to CONNECT; what comes before waits',
    proofs: [
      [
        'test/integration/proxy-http.test.ts',
        'an upgrade that the upstream answers with 200 is refused, and nothing behind it is read (CVE-2024-23326)',
      ],
      ...here('CVE-2025-64763: bytes behind CONNECT wait until the tunnel is accepted'),
      ...named(responses, 'switching-unasked'),
    ],
  },
  {
    ids: ['CVE-2025-59465, CVE-2026-21637, CVE-2026-21710, CVE-2026-21714, CVE-2025-23085 (Node)'],
    wrong: 'one bad frame, name or callback ended the process',
    rule: 'own codecs, maps without prototypes, and a connection that ends alone',
    proofs: [
      ...here(
        'CVE-2026-21710: a name that objects inherit is a name like any other',
        'CVE-2025-59465: a malformed HEADERS frame ends its connection, and nothing else',
      ),
      [fuzz, 'cases from fixed seeds hold'],
    ],
  },
  {
    ids: ['CVE-2021-32813, CVE-2024-45410 (Traefik)', 'GO-2022-0325', 'CVE-2026-88011 (Traefik)'],
    wrong: 'Connection removed the proxy’s own headers; a trailing dot led around a host’s rules',
    rule: 'Connection removes no such header; dot and port are stripped before a host is matched',
    proofs: here(
      'CVE-2024-45410: Connection removes nothing that proxies own',
      'GO-2022-0325: a trailing dot and a port do not lead around a virtual host',
    ),
  },
  {
    ids: ['CVE-2024-45808 (Envoy)'],
    wrong: 'a value forged fields of a log’s line',
    rule: 'values are escaped, in texts too',
    proofs: here('CVE-2024-45808: a value cannot end its field in a line of the log'),
  },
  {
    ids: ['CVE-2021-21409 (Netty)'],
    wrong: 'a body of another length than was promised became two requests of HTTP/1.1',
    rule: 'a body is held to its length, nothing included',
    proofs: [
      [flood, 'CVE-2021-21409: a length without a body resets its stream'],
      [flood, 'CVE-2021-21409: a body longer than its length is not forwarded beyond it'],
      ...named(http2, 'cl-too-short', 'cl-too-long'),
    ],
  },
  {
    ids: ['CVE-2019-18802 (Envoy)'],
    wrong: 'white space behind a value defeated matchers',
    rule: 'it is no part of the value',
    proofs: here('CVE-2019-18802: white space behind a value does not defeat a matcher'),
  },
  {
    ids: ['CVE-2026-47692, CVE-2024-23327, CVE-2024-23325 (Envoy)'],
    wrong: 'headers of the PROXY protocol crashed their reader',
    rule: 'lengths are believed nowhere',
    proofs: [
      ['src/proxy/wire/proxy-protocol.test.ts', 'CVE-2026-47692'],
      ['src/proxy/wire/proxy-protocol.test.ts', 'CVE-2024-23327'],
      ['src/proxy/wire/proxy-protocol.test.ts', 'CVE-2024-23325'],
    ],
  },
  {
    ids: ['CVE-2026-73547 (Envoy)'],
    wrong: 'CONNECT without a path crashed a filter',
    rule: 'no path is an empty one',
    proofs: here('CVE-2026-73547: CONNECT without a path meets routes that look at paths'),
  },
  {
    ids: ['CVE-2024-40632 (Linkerd)'],
    wrong: 'a request that a browser can be made to send shut the proxy down',
    rule: 'what changes something is POST only, on loopback',
    proofs: [['src/proxy/sidecar.test.ts', 'what changes something is POST only']],
  },
  {
    ids: ['GHSA-42mr-jpwh-m9rv (Linkerd)'],
    wrong: 'labels of metrics came from clients, without limit',
    rule: 'no label holds what a client says',
    proofs: [],
    notApplicable: 'labels are the configuration’s and the endpoints’ own words',
  },
  {
    ids: ['CVE-2022-29226, CVE-2024-45809, CVE-2025-64527, CVE-2026-48042, CVE-2026-50572 (Envoy)'],
    wrong: 'filters for OAuth, JWT, external authorization and Lua',
    rule: 'a filter that is not implemented is refused',
    proofs: [['src/proxy/config/compile-listener.test.ts', "'an unknown filter'"]],
  },
  {
    ids: ['CVE-2019-20372 (nginx)', 'CVE-2026-47221 (Envoy)'],
    wrong: 'error pages and internal redirects sent a request round again with its body unread',
    rule: 'a body that was not read ends its connection',
    proofs: [],
    notApplicable: 'there are no error pages and no internal redirects',
  },
]
