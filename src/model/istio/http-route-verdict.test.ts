/** Verdicts of Istio's validation on HTTP routes and their destinations. */
import { testVerdicts } from '../../../test/support/verdict-table.ts'
import type { Subject } from '../../../test/support/verdict-table.ts'

const to = 'route: [{destination: {host: foo.baz}}]'

// HTTP routes.

const ofRoute = (part: string): string => `hosts: [foo.bar]\nhttp:\n- ${part}`
const httpRoute: Subject = { kind: 'VirtualService', around: ofRoute }
const besideRoute: Subject = {
  kind: 'VirtualService',
  around: (part) => ofRoute(`${to}\n  ${part}`),
}

testVerdicts('route', httpRoute, [
  ['empty', 'invalid', '{}'],
  ['one destination', 'valid', to],
  ['a destination that is missing', 'invalid', 'route: [{}]'],
  ['a destination without a host', 'invalid', 'route: [{destination: {}}]'],
  [
    'two destinations',
    'valid',
    'route: [{destination: {host: a.south}, weight: 25}, {destination: {host: a.east}, weight: 75}]',
  ],
  [
    'weights over 100',
    'valid',
    'route: [{destination: {host: a.south}, weight: 550}, {destination: {host: a.east}, weight: 500}]',
  ],
  [
    'weights under 100',
    'valid',
    'route: [{destination: {host: a.south}, weight: 49}, {destination: {host: a.east}, weight: 50}]',
  ],
  ['a redirect', 'valid', 'redirect: {uri: /lerp, authority: foo.biz}'],
  ['a redirect and a destination', 'invalid', `redirect: {uri: /lerp}\n  ${to}`],
  ['a redirect and a fault', 'invalid', 'redirect: {uri: /}\n  fault: {abort: {httpStatus: 500}}'],
  ['a redirect and a rewrite', 'invalid', 'redirect: {uri: /}\n  rewrite: {uri: /}'],
  [
    'a redirect and a direct response',
    'invalid',
    'redirect: {uri: /}\n  directResponse: {status: 200}',
  ],
  ['a direct response and a destination', 'invalid', `directResponse: {status: 200}\n  ${to}`],
  [
    'a direct response and a fault',
    'invalid',
    'directResponse: {status: 200}\n  fault: {abort: {httpStatus: 500}}',
  ],
  [
    'a direct response and a rewrite',
    'invalid',
    'directResponse: {status: 200}\n  rewrite: {uri: /}',
  ],
  ['a delegate', 'valid', 'delegate: {name: test, namespace: test}'],
  ['a delegate and a destination', 'invalid', `delegate: {name: test}\n  ${to}`],
  ['a delegate and a redirect', 'invalid', 'delegate: {name: test}\n  redirect: {uri: /lerp}'],
  [
    'a delegate and a match by regex',
    'valid',
    'delegate: {name: test}\n  match: [{uri: {regex: test}}]',
  ],
  [
    'a delegate and a header by regex',
    'valid',
    'delegate: {name: test}\n  match: [{headers: {h: {regex: test}}}]',
  ],
  [
    'a delegate and a query by prefix',
    'valid',
    'delegate: {name: test}\n  match: [{queryParams: {q: {prefix: test}}}]',
  ],
  [
    'a delegate and a header that is null',
    'invalid',
    'delegate: {name: test}\n  match: [{headers: {h: null}}]',
  ],
])

testVerdicts('match', besideRoute, [
  ['a header that is null', 'invalid', 'match: [{headers: {header: null}}]'],
  ['a header by an empty prefix', 'invalid', 'match: [{headers: {h: {prefix: ""}}}]'],
  [
    'a missing header by an empty prefix',
    'invalid',
    'match: [{withoutHeaders: {h: {prefix: ""}}}]',
  ],
  ['a missing header, any', 'valid', 'match: [{withoutHeaders: {h: {regex: "*"}}}]'],
  ['a missing header by presence', 'valid', 'match: [{withoutHeaders: {h: {}}}]'],
  ['a header by presence', 'valid', 'match: [{headers: {h: {}}}]'],
  ['a scheme by an empty prefix', 'invalid', 'match: [{scheme: {prefix: ""}}]'],
  ['a method by an empty prefix', 'invalid', 'match: [{method: {prefix: ""}}]'],
  ['an authority by an empty prefix', 'invalid', 'match: [{authority: {prefix: ""}}]'],
  ['a query by an empty prefix', 'invalid', 'match: [{queryParams: {q: {prefix: ""}}}]'],
  ['a URI by an empty prefix', 'valid', 'match: [{uri: {prefix: ""}}]'],
  ['a method by an empty regex', 'invalid', 'match: [{method: {regex: ""}}]'],
  ['a URI by an empty regex', 'invalid', 'match: [{uri: {regex: ""}}]'],
  ['a query by an empty regex', 'invalid', 'match: [{queryParams: {q: {regex: ""}}}]'],
  ['a scheme by an empty regex', 'invalid', 'match: [{scheme: {regex: ""}}]'],
  ['a regex that is none', 'invalid', 'match: [{uri: {regex: "["}}]'],
  ['a regex that looks ahead', 'invalid', 'match: [{uri: {regex: "a(?=b)"}}]'],
  ['a regex that is too large', 'invalid', `match: [{uri: {regex: "${'a'.repeat(1025)}"}}]`],
  ['a regex of the largest size', 'valid', `match: [{uri: {regex: "${'a'.repeat(1024)}"}}]`],
  ['an empty match', 'valid', 'match: [{}]'],
  ['no match', 'valid', 'match: []'],
  ['a port of 0', 'valid', 'match: [{port: 0}]'],
  ['a port out of range', 'invalid', 'match: [{port: 65536}]'],
  ['a namespace that is none', 'invalid', 'match: [{sourceNamespace: a_b}]'],
  ['labels that are none', 'invalid', 'match: [{sourceLabels: {"@": a}}]'],
])

testVerdicts(
  'header name of a match',
  {
    kind: 'VirtualService',
    around: (name) => ofRoute(`${to}\n  match: [{headers: {${name}: {exact: a}}}]`),
  },
  [
    ['plain', 'valid', 'header1'],
    ['with capitals and dashes', 'valid', 'X-Requested-With'],
    ['the authority', 'valid', '":authority"'],
    ['with punctuation', 'valid', '"funky!$#_"'],
    ['empty', 'invalid', '""'],
    ['colons', 'invalid', '"::"'],
    ['with a quote', 'invalid', "'illegal\"char'"],
    ['a claim of a token', 'invalid', '"@request.auth.claims.foo"'],
  ],
)

testVerdicts(
  'header operations',
  {
    kind: 'VirtualService',
    around: (part) => ofRoute(`route: [{destination: {host: foo.baz}, headers: {${part}}}]`),
  },
  [
    [
      'empty values',
      'valid',
      'request: {add: {name: ""}, set: {name: ""}, remove: [name]}, response: {add: {name: ""}, set: {name: ""}, remove: [name]}',
    ],
    ['request, add an empty name', 'invalid', 'request: {add: {"": value}}'],
    ['request, set an empty name', 'invalid', 'request: {set: {"": value}}'],
    ['request, remove an empty name', 'invalid', 'request: {remove: [""]}'],
    ['response, add an empty name', 'invalid', 'response: {add: {"": value}}'],
    ['response, set an empty name', 'invalid', 'response: {set: {"": value}}'],
    ['response, remove an empty name', 'invalid', 'response: {remove: [""]}'],
    ['a per cent sign', 'valid', 'response: {set: {i-love-istio: "100%%"}}'],
    ['a per cent sign in a text', 'valid', 'response: {add: {i-love-istio: "100%% and more"}}'],
    ['a variable', 'valid', 'response: {set: {name: "%HOSTNAME%"}}'],
    ['a variable in a text', 'valid', 'response: {add: {name: "hello %HOSTNAME%"}}'],
    ['a per cent sign alone', 'invalid', 'response: {set: {name: "abcd%oijasodifj"}}'],
    ['a per cent sign after a variable', 'invalid', 'response: {set: {name: "%START_TIME%%"}}'],
    ['a line end', 'invalid', 'response: {set: {name: "a\\nb"}}'],
    ['the authority', 'valid', 'request: {set: {":authority": foo}}'],
    ['the host', 'valid', 'request: {set: {Host: foo}}'],
    ['the path', 'invalid', 'request: {set: {":path": foo}}'],
    ['remove the host', 'invalid', 'request: {remove: [host]}'],
    ['remove the authority', 'invalid', 'request: {remove: [":authority"]}'],
    ['the host of a response', 'invalid', 'response: {set: {host: foo}}'],
  ],
)

testVerdicts('mirrors', besideRoute, [
  ['a per cent over 100', 'invalid', 'mirrorPercent: 101'],
  ['a percentage over 100', 'invalid', 'mirrorPercentage: {value: 101}'],
  ['a percentage', 'valid', 'mirrorPercentage: {value: 1}'],
  ['a negative percentage', 'invalid', 'mirrorPercentage: {value: -1}'],
  ['a per cent', 'warning', 'mirrorPercent: 5'],
  ['without a destination', 'invalid', 'mirrors: [{}]'],
  [
    'of two, a percentage over 100',
    'invalid',
    'mirrors: [{destination: {host: foo.baz}}, {destination: {host: foo.baz}, percentage: {value: 101}}]',
  ],
  [
    'of two, percentages',
    'valid',
    'mirrors: [{destination: {host: foo.baz}, percentage: {value: 1}}, {destination: {host: foo.baz}, percentage: {value: 50}}]',
  ],
  [
    'of one, a negative percentage',
    'invalid',
    'mirrors: [{destination: {host: foo.baz}, percentage: {value: -1}}]',
  ],
  [
    'mirror and mirrors',
    'invalid',
    'mirror: {host: foo.baz}\n  mirrors: [{destination: {host: foo.bar}}]',
  ],
])

testVerdicts(
  'CORS',
  { kind: 'VirtualService', around: (part) => ofRoute(`${to}\n  corsPolicy: {${part}}`) },
  [
    [
      'all good',
      'valid',
      'allowMethods: [GET, POST], allowHeaders: [header1, header2], exposeHeaders: [header3], maxAge: 2s',
    ],
    ['a method that is none', 'invalid', 'allowMethods: [GET, PUTT]'],
    ['a header that is empty', 'invalid', 'exposeHeaders: [""]'],
    ['any header', 'valid', 'allowHeaders: ["*"]'],
    ['parts of a second', 'invalid', 'maxAge: 2.5s'],
    ['an origin, exact and empty', 'invalid', 'allowOrigins: [{exact: ""}]'],
    ['an origin by an empty prefix', 'invalid', 'allowOrigins: [{prefix: ""}]'],
    ['an origin by an empty regex', 'invalid', 'allowOrigins: [{regex: ""}]'],
    ['an origin without a match', 'invalid', 'allowOrigins: [{}]'],
    ['origins', 'valid', 'allowOrigins: [{exact: exact}, {prefix: prefix}, {regex: regex}]'],
  ],
)

testVerdicts(
  'fault',
  { kind: 'VirtualService', around: (part) => ofRoute(`${to}\n  fault: {${part}}`) },
  [
    ['nothing', 'invalid', ''],
    ['abort', 'valid', 'abort: {percentage: {value: 20}, httpStatus: 200}'],
    ['abort without a percentage', 'noted', 'abort: {httpStatus: 200}'],
    ['abort with 600', 'noted', 'abort: {httpStatus: 600}'],
    ['abort with 601', 'invalid', 'abort: {httpStatus: 601}'],
    ['abort with 9000', 'invalid', 'abort: {httpStatus: 9000}'],
    ['abort with 100', 'invalid', 'abort: {httpStatus: 100}'],
    ['abort with 0', 'invalid', 'abort: {httpStatus: 0}'],
    ['abort with -100', 'invalid', 'abort: {httpStatus: -100}'],
    ['abort, a small percentage', 'valid', 'abort: {percentage: {value: 0.001}, httpStatus: 200}'],
    [
      'abort, a tiny percentage',
      'invalid',
      'abort: {percentage: {value: 0.00001}, httpStatus: 200}',
    ],
    [
      'abort, a negative percentage',
      'invalid',
      'abort: {percentage: {value: -10}, httpStatus: 200}',
    ],
    ['abort without a status', 'warning', 'abort: {percentage: {value: 20}}'],
    ['abort by gRPC', 'valid', 'abort: {percentage: {value: 20}, grpcStatus: DEADLINE_EXCEEDED}'],
    ['abort by a gRPC status that is none', 'invalid', 'abort: {grpcStatus: BAD_STATUS}'],
    ['abort by HTTP/2', 'invalid', 'abort: {http2Error: CANCEL}'],
    ['delay', 'valid', 'delay: {percentage: {value: 20}, fixedDelay: 3s}'],
    ['delay without a percentage', 'noted', 'delay: {fixedDelay: 3s}'],
    [
      'delay, a percentage over 100',
      'invalid',
      'delay: {percentage: {value: 101}, fixedDelay: 3s}',
    ],
    ['delay, parts of a millisecond', 'invalid', 'delay: {fixedDelay: 3.000000042s}'],
    ['delay, exponential', 'invalid', 'delay: {exponentialDelay: 3s}'],
  ],
)

testVerdicts(
  'retries',
  { kind: 'VirtualService', around: (part) => ofRoute(`${to}\n  retries: {${part}}`) },
  [
    ['all good', 'valid', 'attempts: 10, perTryTimeout: 2s, retryOn: "5xx,gateway-error"'],
    ['none', 'valid', 'attempts: 0'],
    [
      'none, with a policy',
      'invalid',
      'attempts: 0, perTryTimeout: 2s, retryOn: "5xx,gateway-error"',
    ],
    ['none, with localities', 'invalid', 'attempts: 0, retryRemoteLocalities: false'],
    ['attempts', 'valid', 'attempts: 10'],
    ['a status', 'valid', 'attempts: 10, retryOn: "503,connect-failure"'],
    ['negative attempts', 'invalid', 'attempts: -1, perTryTimeout: 2s'],
    ['parts of a millisecond', 'invalid', 'attempts: 10, perTryTimeout: 2.000000001s'],
    ['a time-out that is too short', 'invalid', 'attempts: 10, perTryTimeout: 999ns'],
    ['a back-off that is too short', 'invalid', 'attempts: 10, backoff: 999ns'],
    ['a policy that is none', 'invalid', 'attempts: 10, retryOn: "5xx,invalid policy"'],
    ['a status that is none', 'invalid', 'attempts: 10, retryOn: "600,connect-failure"'],
    ['a space before a policy', 'invalid', 'attempts: 10, retryOn: "5xx, reset"'],
  ],
)

testVerdicts(
  'rewrite',
  { kind: 'VirtualService', around: (part) => ofRoute(`${to}\n  rewrite: {${part}}`) },
  [
    ['URI and authority', 'valid', 'uri: /path, authority: foobar.org'],
    ['URI', 'valid', 'uri: /path'],
    ['authority', 'valid', 'authority: foobar.org'],
    [
      'by regex',
      'valid',
      "uriRegexRewrite: {match: '^/service/([^/]+)(/.*)$', rewrite: '\\2/instance/\\1'}",
    ],
    [
      'by regex, and authority',
      'valid',
      "authority: foobar.org, uriRegexRewrite: {match: '^/a/([^/]+)$', rewrite: '\\1'}",
    ],
    [
      'by regex, and URI',
      'invalid',
      "uri: /path, uriRegexRewrite: {match: '^/a/([^/]+)$', rewrite: '\\1'}",
    ],
    ['nothing', 'invalid', ''],
    ['by regex, without a match', 'invalid', "uriRegexRewrite: {rewrite: '\\1'}"],
    ['by regex, without a rewrite', 'invalid', "uriRegexRewrite: {match: '^/a'}"],
    ['by a regex that is none', 'invalid', "uriRegexRewrite: {match: '[', rewrite: '['}"],
  ],
)

testVerdicts(
  'redirect',
  { kind: 'VirtualService', around: (part) => ofRoute(`redirect: {${part}}`) },
  [
    ['nothing', 'invalid', ''],
    ['empty texts', 'invalid', 'uri: "", authority: ""'],
    ['299', 'invalid', 'uri: t, redirectCode: 299'],
    ['400', 'invalid', 'uri: t, redirectCode: 400'],
    ['308', 'valid', 'uri: t, authority: t, redirectCode: 308'],
    ['code 0', 'valid', 'uri: t, authority: t, redirectCode: 0'],
    ['URI', 'valid', 'uri: t, authority: ""'],
    ['authority', 'valid', 'uri: "", authority: t'],
    ['a port', 'valid', 'port: 8080'],
    ['a port derived', 'valid', 'derivePort: FROM_REQUEST_PORT'],
    ['a port out of range', 'invalid', 'port: 65536'],
    ['a scheme', 'valid', 'scheme: https'],
    ['a scheme that is none', 'invalid', 'scheme: ftp'],
  ],
)

testVerdicts(
  'direct response',
  { kind: 'VirtualService', around: (part) => ofRoute(`directResponse: {${part}}`) },
  [
    ['200', 'valid', 'status: 200'],
    ['199', 'invalid', 'status: 199'],
    ['601', 'invalid', 'status: 601'],
    ['a body', 'valid', 'status: 200, body: {string: hello}'],
    ['a body over 100 KB', 'warning', `status: 200, body: {string: ${'a'.repeat(101 * 1024)}}`],
    ['bytes', 'valid', 'status: 200, body: {bytes: aGVsbG8=}'],
    [
      'bytes over 100 KB',
      'warning',
      `status: 200, body: {bytes: ${Buffer.alloc(100 * 1024 + 1).toString('base64')}}`,
    ],
  ],
)

testVerdicts(
  'destination',
  { kind: 'VirtualService', around: (part) => ofRoute(`route: [{destination: {${part}}}]`) },
  [
    ['nothing', 'invalid', ''],
    ['a host', 'valid', 'host: foo.bar'],
    ['everything', 'valid', 'host: foo.bar, subset: shiny, port: {number: 5000}'],
    ['a port without a number', 'invalid', 'host: foo.bar, port: {}'],
    ['a wildcard before a dash', 'valid', 'host: "*-foo.baz"'],
    ['a wildcard before a name', 'valid', 'host: "*foo.baz"'],
    ['any host', 'invalid', 'host: "*"'],
    ['a wildcard at the end', 'invalid', 'host: foo.*'],
    ['a slash', 'invalid', 'host: default/baz'],
    ['a subset that is none', 'invalid', 'host: foo.bar, subset: a_b'],
  ],
)

testVerdicts(
  'TCP destinations',
  {
    kind: 'VirtualService',
    around: (part) => `hosts: [foo.bar]\ntcp:\n- route: [${part}]`,
  },
  [
    ['one', 'valid', '{destination: {host: foo.baz}}'],
    ['none', 'invalid', ''],
    ['a destination that is missing', 'invalid', '{}'],
    [
      'a negative weight',
      'invalid',
      '{destination: {host: a.b}, weight: 5}, {destination: {host: a.c}, weight: -1}',
    ],
    [
      'one of two without a weight',
      'valid',
      '{destination: {host: a.b}, weight: 100}, {destination: {host: a.c}, weight: 0}',
    ],
    ['one that weighs nothing', 'valid', '{destination: {host: a.b}, weight: 0}'],
    [
      'two that weigh nothing',
      'invalid',
      '{destination: {host: a.b}, weight: 0}, {destination: {host: a.c}, weight: 0}',
    ],
  ],
)
