/** VirtualService: one row for each rule. */
import { testIssues } from '../../../test/support/issue-table.ts'
import type { IssueRow } from '../../../test/support/issue-table.ts'

const envelope = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService' }

/** A spec with one HTTP route to host a; `lines` are further lines of the route. */
function route(title: string, code: string, ...[path, lines]: [string, string]): IssueRow {
  const body = lines.trim().split('\n').join('\n  ')
  return [
    title,
    code,
    `spec.http[0].${path}`,
    `hosts: [a]\nhttp:\n- route:\n  - destination: {host: a}\n  ${body}`,
  ]
}

/** A spec with one match block. */
function match(title: string, code: string, ...[path, lines]: [string, string]): IssueRow {
  const body = lines.trim().split('\n').join('\n    ')
  const text = `hosts: [a]\nhttp:\n- match:\n  - ${body}\n  route:\n  - destination: {host: a}`
  return [title, code, `spec.http[0].match[0].${path}`, text]
}

/** A spec whose one route is only this. */
function action(title: string, code: string, ...[path, lines]: [string, string]): IssueRow {
  const body = lines.trim().split('\n').join('\n  ')
  return [title, code, `spec.http[0]${path}`, `hosts: [a]\nhttp:\n- ${body}`]
}

const destination = (title: string, ...[path, lines]: [string, string]): IssueRow =>
  action(title, 'IST0106', `.route[0]${path}`, `route:\n- ${lines}`)

testIssues(envelope, [
  ['needs routes', 'IST0106', 'spec', '# HERE\nhosts: [a]'],
  ['an empty list of routes is none', 'IST0106', 'spec', '# HERE\nhosts: [a]\nhttp: []'],
  ['spec must be an object', 'IST0106', 'spec', '# HERE\n[]'],
  ['http must be a list', 'IST0106', 'spec.http', 'hosts: [a]\nhttp: # HERE\n  route: []'],
  ['a route cannot be null', 'IST0106', 'spec.http[0]', 'hosts: [a]\nhttp:\n- null # HERE'],
  [
    'hosts must be a list',
    'IST0106',
    'spec.hosts',
    'hosts: a # HERE\nhttp: [{redirect: {uri: /}}]',
  ],
  [
    'unknown field',
    'TUL0010',
    'spec.htpp',
    'hosts: [a]\nhtpp: [] # HERE\nhttp: [{redirect: {uri: /}}]',
  ],
  [
    'snake case is not the CRD',
    'TUL0010',
    'spec.export_to',
    'hosts: [a]\nexport_to: ["."] # HERE\nhttp: [{redirect: {uri: /}}]',
  ],
])

const http = 'http: [{redirect: {uri: /}}]'
testIssues(envelope, [
  [
    'a wildcard host is not for the mesh',
    'IST0106',
    'spec.hosts[0]',
    `hosts: ["*"] # HERE\n${http}`,
  ],
  [
    'a wildcard host is not for the mesh beside a gateway',
    'IST0106',
    'spec.hosts[0]',
    `hosts: ["*"] # HERE\ngateways: [mesh, gw]\n${http}`,
  ],
  ['a wildcard is the first label', 'IST0106', 'spec.hosts[0]', `hosts: [a.*.com] # HERE\n${http}`],
  ['a host has no underscore', 'IST0106', 'spec.hosts[0]', `hosts: [a_b] # HERE\n${http}`],
  ['a host is not empty', 'IST0106', 'spec.hosts[0]', `hosts: [""] # HERE\n${http}`],
  [
    'a host has no number as its last label',
    'IST0106',
    'spec.hosts[0]',
    `hosts: [a.123] # HERE\n${http}`,
  ],
  [
    'a host has labels of at most 63',
    'IST0106',
    'spec.hosts[0]',
    `hosts: [${'a'.repeat(64)}] # HERE\n${http}`,
  ],
  [
    'a host has at most 255 characters',
    'IST0106',
    'spec.hosts[0]',
    `hosts: [${'a.'.repeat(128)}com] # HERE\n${http}`,
  ],
  ['an IP host is for gateways', 'IST0133', 'spec.hosts[0]', `hosts: [10.0.0.1] # HERE\n${http}`],
  ['hosts are there once', 'IST0106', 'spec.hosts[1]', `hosts:\n- a\n- A # HERE\n${http}`],
  [
    'a wildcard covers a host',
    'IST0106',
    'spec.hosts[1]',
    `hosts:\n- "*.a.com"\n- b.a.com # HERE\n${http}`,
  ],
  [
    'wildcards cover each other',
    'IST0106',
    'spec.hosts[1]',
    `hosts:\n- "*.a.com"\n- "*.com" # HERE\n${http}`,
  ],
  ['a gateway name', 'IST0106', 'spec.gateways[0]', `hosts: [a]\ngateways: [a_b] # HERE\n${http}`],
  [
    'a gateway with an empty namespace',
    'IST0106',
    'spec.gateways[0]',
    `hosts: [a]\ngateways: [/gw] # HERE\n${http}`,
  ],
  [
    'a gateway with too many parts',
    'IST0106',
    'spec.gateways[0]',
    `hosts: [a]\ngateways: [a/b/c] # HERE\n${http}`,
  ],
  [
    'the old form of a gateway name',
    'IST0133',
    'spec.gateways[0]',
    `hosts: [a]\ngateways: [gw.ns.svc.cluster.local] # HERE\n${http}`,
  ],
  [
    'exportTo names a namespace',
    'IST0106',
    'spec.exportTo[0]',
    `hosts: [a]\nexportTo: [a_b] # HERE\n${http}`,
  ],
  [
    'exportTo knows no ~',
    'IST0106',
    'spec.exportTo[0]',
    `hosts: [a]\nexportTo: ["~"] # HERE\n${http}`,
  ],
  [
    'exportTo repeats nothing',
    'IST0106',
    'spec.exportTo[1]',
    `hosts: [a]\nexportTo:\n- b\n- b # HERE\n${http}`,
  ],
  [
    'exportTo . is this namespace',
    'IST0106',
    'spec.exportTo[1]',
    `hosts: [a]\nexportTo:\n- .\n- default # HERE\n${http}`,
  ],
  [
    'exportTo * stands alone',
    'IST0106',
    'spec.exportTo[1]',
    `hosts: [a]\nexportTo:\n- b\n- "*" # HERE\n${http}`,
  ],
  ['a delegate has no gateways', 'IST0106', 'spec.gateways', `gateways: [gw] # HERE\n${http}`],
  [
    'a delegate has no tcp',
    'IST0106',
    'spec.tcp',
    'tcp: # HERE\n- route: [{destination: {host: a}}]',
  ],
  [
    'a delegate does not delegate',
    'IST0106',
    'spec.http[0].delegate',
    'http:\n- delegate: {name: b} # HERE',
  ],
  ['a delegate has no effect yet', 'TUL0011', 'spec', `# HERE\n${http}`],
])

testIssues(envelope, [
  action('a route needs an action', 'IST0106', '', 'name: b # HERE'),
  action('an empty route is none', 'IST0106', '', 'route: [] # HERE'),
  action(
    'route and redirect exclude each other',
    'IST0106',
    '.route',
    'route: [{destination: {host: a}}] # HERE\nredirect: {uri: /}',
  ),
  action(
    'fault and redirect exclude each other',
    'IST0106',
    '.fault',
    'fault: {abort: {httpStatus: 500}} # HERE\nredirect: {uri: /}',
  ),
  action(
    'rewrite and redirect exclude each other',
    'IST0106',
    '.rewrite',
    'rewrite: {uri: /} # HERE\nredirect: {uri: /}',
  ),
  action(
    'directResponse and redirect exclude each other',
    'IST0106',
    '.directResponse',
    'directResponse: {status: 200} # HERE\nredirect: {uri: /}',
  ),
  action(
    'route and directResponse exclude each other',
    'IST0106',
    '.route',
    'route: [{destination: {host: a}}] # HERE\ndirectResponse: {status: 200}',
  ),
  action(
    'fault and directResponse exclude each other',
    'IST0106',
    '.fault',
    'fault: {abort: {httpStatus: 500}} # HERE\ndirectResponse: {status: 200}',
  ),
  action(
    'rewrite and directResponse exclude each other',
    'IST0106',
    '.rewrite',
    'rewrite: {uri: /} # HERE\ndirectResponse: {status: 200}',
  ),
  action(
    'delegate and route exclude each other',
    'IST0106',
    '.route',
    'route: [{destination: {host: a}}] # HERE\ndelegate: {name: b}',
  ),
  action(
    'delegate and redirect exclude each other',
    'IST0106',
    '.redirect',
    'redirect: {uri: /} # HERE\ndelegate: {name: b}',
  ),
  action('a delegate has a name', 'IST0133', '.delegate', 'delegate: {namespace: b} # HERE'),
  route(
    'mirror and mirrors exclude each other',
    'IST0106',
    'mirrors',
    'mirror: {host: b}\nmirrors: [{destination: {host: b}}] # HERE',
  ),
  route(
    'a mirror has a destination',
    'IST0106',
    'mirrors[0].destination',
    'mirrors:\n- percentage: {value: 1} # HERE',
  ),
  route('a mirror has a host', 'IST0106', 'mirror.host', 'mirror: {subset: b} # HERE'),
  route(
    'mirrorPercentage is at most 100',
    'IST0106',
    'mirrorPercentage.value',
    'mirrorPercentage: {value: 101} # HERE',
  ),
  route(
    'mirrorPercentage is not negative',
    'IST0106',
    'mirrorPercentage.value',
    'mirrorPercentage: {value: -1} # HERE',
  ),
  route('mirrorPercent is deprecated', 'IST0133', 'mirrorPercent', 'mirrorPercent: 5 # HERE'),
  route('mirror_percent is deprecated', 'IST0133', 'mirror_percent', 'mirror_percent: 5 # HERE'),
  route('mirrorPercent is at most 100', 'IST0106', 'mirrorPercent', 'mirrorPercent: 101 # HERE'),
])

testIssues(envelope, [
  destination('a destination is required', '.destination', 'weight: 1 # HERE'),
  destination('a host is required', '.destination.host', 'destination: {subset: v1} # HERE'),
  destination('a host is not *', '.destination.host', 'destination: {host: "*"} # HERE'),
  destination('a host is a name', '.destination.host', 'destination: {host: a_b} # HERE'),
  destination('a host is text', '.destination.host', 'destination: {host: 5} # HERE'),
  destination(
    'a subset is a label',
    '.destination.subset',
    'destination: {host: a, subset: v1.0} # HERE',
  ),
  destination(
    'a port is an object',
    '.destination.port',
    'destination: {host: a, port: 80} # HERE',
  ),
  destination(
    'a port is not 0',
    '.destination.port.number',
    'destination: {host: a, port: {number: 0}} # HERE',
  ),
  destination(
    'a port is at most 65535',
    '.destination.port.number',
    'destination: {host: a, port: {number: 65536}} # HERE',
  ),
  destination(
    'a port has a number',
    '.destination.port.number',
    'destination: {host: a, port: {}} # HERE',
  ),
  destination('a weight is not negative', '.weight', '{destination: {host: a}, weight: -1} # HERE'),
  destination('a weight is whole', '.weight', '{destination: {host: a}, weight: 1.5} # HERE'),
  destination('a weight is a number', '.weight', '{destination: {host: a}, weight: "90"} # HERE'),
  action(
    'weights of several destinations are not all 0',
    'IST0106',
    '.route',
    'route: # HERE\n- {destination: {host: a}, weight: 0}\n- {destination: {host: b}, weight: 0}',
  ),
  action(
    'weights of several destinations are given',
    'IST0106',
    '.route',
    'route: # HERE\n- {destination: {host: a}}\n- {destination: {host: b}}',
  ),
  action(
    'weights have a sum that fits',
    'IST0106',
    '.route',
    'route: # HERE\n- {destination: {host: a}, weight: 2147483647}\n- {destination: {host: b}, weight: 2147483647}\n- {destination: {host: c}, weight: 2147483647}',
  ),
])

testIssues(envelope, [
  match(
    'a match has one kind of text',
    'IST0106',
    'uri.prefix',
    'uri: {exact: /a, prefix: /b} # HERE',
  ),
  match('an empty match matches anything', 'IST0133', 'uri', 'uri: {} # HERE'),
  match('a match is an object', 'IST0106', 'uri', 'uri: /a # HERE'),
  match('a regex compiles', 'IST0106', 'uri.regex', 'uri: {regex: "["} # HERE'),
  match('a regex has no look-ahead', 'IST0106', 'uri.regex', 'uri: {regex: "(?=a)"} # HERE'),
  match('a regex has no back-reference', 'IST0106', 'uri.regex', `uri: {regex: '(a)\\1'} # HERE`),
  match('a regex is not empty', 'IST0106', 'method.regex', 'method: {regex: ""} # HERE'),
  match(
    'a regex has at most 1024 bytes',
    'IST0106',
    'uri.regex',
    `uri: {regex: "${'a'.repeat(1025)}"} # HERE`,
  ),
  match('* is no regex for a path', 'IST0106', 'uri.regex', 'uri: {regex: "*"} # HERE'),
  match(
    'a prefix of a scheme is not empty',
    'IST0106',
    'scheme.prefix',
    'scheme: {prefix: ""} # HERE',
  ),
  match(
    'a prefix of an authority is not empty',
    'IST0106',
    'authority.prefix',
    'authority: {prefix: ""} # HERE',
  ),
  match(
    'a prefix of a header is not empty',
    'IST0106',
    'headers[x].prefix',
    'headers: {x: {prefix: ""}} # HERE',
  ),
  match(
    'a prefix of a parameter is not empty',
    'IST0106',
    'queryParams[x].prefix',
    'queryParams: {x: {prefix: ""}} # HERE',
  ),
  match('a header match is not null', 'IST0106', 'headers[x]', 'headers:\n  x: null # HERE'),
  match('a header has a name', 'IST0106', 'headers[a b]', 'headers: {"a b": {exact: c}} # HERE'),
  match(
    'a header that is missing has a name',
    'IST0106',
    'withoutHeaders[a b]',
    'withoutHeaders: {"a b": {exact: c}} # HERE',
  ),
  match(
    'claims are for gateways',
    'IST0106',
    'headers[@request.auth.claims.sub]',
    'headers: {"@request.auth.claims.sub": {exact: c}} # HERE',
  ),
  match('a port is in range', 'IST0106', 'port', 'port: 65536 # HERE'),
  match(
    'a source namespace is a label',
    'IST0106',
    'sourceNamespace',
    'sourceNamespace: a.b # HERE',
  ),
  match(
    'a source label has a key',
    'IST0106',
    'sourceLabels[a/b/c]',
    'sourceLabels: {a/b/c: d} # HERE',
  ),
  match(
    'a source label has a value',
    'IST0106',
    'sourceLabels[a]',
    'sourceLabels: {a: "b c"} # HERE',
  ),
  match('a source label is text', 'IST0106', 'sourceLabels[a]', 'sourceLabels: {a: 1} # HERE'),
  match('a gateway has a name', 'IST0106', 'gateways[0]', 'gateways: [a_b] # HERE'),
  match('ignoreUriCase is a boolean', 'IST0106', 'ignoreUriCase', 'ignoreUriCase: "true" # HERE'),
  match('unknown field', 'TUL0010', 'path', 'path: {exact: /a} # HERE'),
])

testIssues(envelope, [
  action(
    'a redirect says where to',
    'IST0106',
    '.redirect',
    'redirect: {redirectCode: 302} # HERE',
  ),
  action(
    'a redirect has a 3xx status',
    'IST0106',
    '.redirect.redirectCode',
    'redirect: {uri: /, redirectCode: 200} # HERE',
  ),
  action(
    'a redirect with another 3xx does not redirect',
    'IST0133',
    '.redirect.redirectCode',
    'redirect: {uri: /, redirectCode: 304} # HERE',
  ),
  action(
    'a redirect goes to http or https',
    'IST0106',
    '.redirect.scheme',
    'redirect: {scheme: ftp} # HERE',
  ),
  action(
    'a redirect has one port',
    'IST0106',
    '.redirect.derivePort',
    'redirect: {port: 80, derivePort: FROM_REQUEST_PORT} # HERE',
  ),
  action(
    'derivePort is a word',
    'IST0106',
    '.redirect.derivePort',
    'redirect: {uri: /, derivePort: REQUEST} # HERE',
  ),
  action(
    'a redirect has one path',
    'IST0106',
    '.redirect.prefixRewrite',
    'match: [{uri: {prefix: /a}}]\nredirect: {uri: /, prefixRewrite: /b} # HERE',
  ),
  action(
    'prefixRewrite needs a prefix',
    'IST0106',
    '.redirect.prefixRewrite',
    'redirect: {prefixRewrite: /b} # HERE',
  ),
  action(
    'a redirect port is in range',
    'IST0106',
    '.redirect.port',
    'redirect: {port: 70000} # HERE',
  ),
  action(
    'a direct response has a status',
    'IST0106',
    '.directResponse.status',
    'directResponse: {body: {string: a}} # HERE',
  ),
  action(
    'a direct response has a status in range',
    'IST0106',
    '.directResponse.status',
    'directResponse: {status: 601} # HERE',
  ),
  action(
    'a direct response has a status of at least 200',
    'IST0106',
    '.directResponse.status',
    'directResponse: {status: 199} # HERE',
  ),
  action(
    'a body is one of two',
    'IST0106',
    '.directResponse.body.bytes',
    'directResponse: {status: 200, body: {string: a, bytes: YQ==}} # HERE',
  ),
  action(
    'bytes are base64',
    'IST0106',
    '.directResponse.body.bytes',
    'directResponse: {status: 200, body: {bytes: "*"}} # HERE',
  ),
  action(
    'a body has at most 1 MB',
    'IST0106',
    '.directResponse.body.string',
    `directResponse: {status: 200, body: {string: ${'a'.repeat(1024 * 1024 - 1000)}${'é'.repeat(800)}}} # HERE`,
  ),
  action(
    'a large body is warned of',
    'IST0133',
    '.directResponse.body.string',
    `directResponse: {status: 200, body: {string: ${'a'.repeat(102401)}}} # HERE`,
  ),
  route('a rewrite says what', 'IST0106', 'rewrite', 'rewrite: {} # HERE'),
  route(
    'a rewrite has one path',
    'IST0106',
    'rewrite.uriRegexRewrite',
    'rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: b}} # HERE',
  ),
  route(
    'a regex rewrite has a match',
    'IST0106',
    'rewrite.uriRegexRewrite.match',
    'rewrite: {uriRegexRewrite: {rewrite: b}} # HERE',
  ),
  route(
    'a regex rewrite has a replacement',
    'IST0106',
    'rewrite.uriRegexRewrite.rewrite',
    'rewrite: {uriRegexRewrite: {match: b}} # HERE',
  ),
  route(
    'a regex rewrite is RE2',
    'IST0106',
    'rewrite.uriRegexRewrite.match',
    'rewrite: {uriRegexRewrite: {match: "(?!a)", rewrite: b}} # HERE',
  ),
])

testIssues(envelope, [
  route('a timeout has a unit', 'IST0106', 'timeout', 'timeout: 5 # HERE'),
  route('a timeout is a duration', 'IST0106', 'timeout', 'timeout: soon # HERE'),
  route('a timeout is at least 1 ms', 'IST0106', 'timeout', 'timeout: 0s # HERE'),
  route('a timeout is not negative', 'IST0106', 'timeout', 'timeout: -1s # HERE'),
  route('a timeout is in whole milliseconds', 'IST0106', 'timeout', 'timeout: 1.5ms # HERE'),
  route(
    'attempts are not negative',
    'IST0106',
    'retries.attempts',
    'retries: {attempts: -1} # HERE',
  ),
  route('attempts are a number', 'IST0106', 'retries.attempts', 'retries: {attempts: "3"} # HERE'),
  route(
    'no attempts, no policies',
    'IST0106',
    'retries.retryOn',
    'retries: {attempts: 0, retryOn: 5xx} # HERE',
  ),
  route(
    'attempts are needed',
    'IST0106',
    'retries.perTryTimeout',
    'retries: {perTryTimeout: 1s} # HERE',
  ),
  route(
    'retryOn has known policies',
    'IST0106',
    'retries.retryOn',
    'retries: {attempts: 1, retryOn: "5xx,sometimes"} # HERE',
  ),
  route(
    'retryOn has no spaces',
    'IST0106',
    'retries.retryOn',
    'retries: {attempts: 1, retryOn: "5xx, reset"} # HERE',
  ),
  route(
    'retryOn has statuses that exist',
    'IST0106',
    'retries.retryOn',
    'retries: {attempts: 1, retryOn: "599"} # HERE',
  ),
  route(
    'perTryTimeout is at least 1 ms',
    'IST0106',
    'retries.perTryTimeout',
    'retries: {attempts: 1, perTryTimeout: 0.1ms} # HERE',
  ),
  route(
    'backoff is at least 1 ms',
    'IST0106',
    'retries.backoff',
    'retries: {attempts: 1, backoff: 1us} # HERE',
  ),
  route('a fault says what', 'IST0106', 'fault', 'fault: {} # HERE'),
  route(
    'an abort without a status aborts nothing',
    'IST0133',
    'fault.abort',
    'fault: {abort: {percentage: {value: 1}}} # HERE',
  ),
  route(
    'an abort has one status',
    'IST0106',
    'fault.abort.grpcStatus',
    'fault: {abort: {httpStatus: 500, grpcStatus: OK}} # HERE',
  ),
  route(
    'an abort status is in range',
    'IST0106',
    'fault.abort.httpStatus',
    'fault: {abort: {httpStatus: 999}} # HERE',
  ),
  route(
    'an abort has a gRPC status that exists',
    'IST0106',
    'fault.abort.grpcStatus',
    'fault: {abort: {grpcStatus: GONE}} # HERE',
  ),
  route(
    'http2Error is not supported',
    'IST0106',
    'fault.abort.http2Error',
    'fault: {abort: {http2Error: x}} # HERE',
  ),
  route(
    'a fault percentage is at most 100',
    'IST0106',
    'fault.abort.percentage.value',
    'fault: {abort: {httpStatus: 500, percentage: {value: 100.1}}} # HERE',
  ),
  route(
    'a fault percentage is not tiny',
    'IST0106',
    'fault.abort.percentage.value',
    'fault: {abort: {httpStatus: 500, percentage: {value: 0.00001}}} # HERE',
  ),
  route(
    'a delay is at least 1 ms',
    'IST0106',
    'fault.delay.fixedDelay',
    'fault: {delay: {fixedDelay: 0s}} # HERE',
  ),
  route(
    'exponentialDelay is not supported',
    'IST0106',
    'fault.delay.exponentialDelay',
    'fault: {delay: {exponentialDelay: 1s}} # HERE',
  ),
  route(
    'delay.percent is deprecated',
    'IST0002',
    'fault.delay.percent',
    'fault: {delay: {fixedDelay: 1s, percent: 5}} # HERE',
  ),
  route(
    'CORS methods exist',
    'IST0106',
    'corsPolicy.allowMethods[0]',
    'corsPolicy: {allowMethods: [get]} # HERE',
  ),
  route(
    'CORS origins are not empty',
    'IST0106',
    'corsPolicy.allowOrigins[0]',
    'corsPolicy: {allowOrigins: [{}]} # HERE',
  ),
  route(
    'CORS origins are RE2',
    'IST0106',
    'corsPolicy.allowOrigins[0].regex',
    'corsPolicy: {allowOrigins: [{regex: "("}]} # HERE',
  ),
  route(
    'CORS allowOrigin is deprecated',
    'IST0002',
    'corsPolicy.allowOrigin',
    'corsPolicy: {allowOrigin: ["*"]} # HERE',
  ),
  route(
    'CORS maxAge is in seconds',
    'IST0106',
    'corsPolicy.maxAge',
    'corsPolicy: {maxAge: 1500ms} # HERE',
  ),
  route(
    'CORS headers have names',
    'IST0106',
    'corsPolicy.allowHeaders[0]',
    'corsPolicy: {allowHeaders: ["a b"]} # HERE',
  ),
  route(
    'unmatchedPreflights is a word',
    'IST0106',
    'corsPolicy.unmatchedPreflights',
    'corsPolicy: {unmatchedPreflights: DROP} # HERE',
  ),
])

testIssues(envelope, [
  route(
    'a header to set has a name',
    'IST0106',
    'headers.request.set[]',
    'headers: {request: {set: {"": b}}} # HERE',
  ),
  route(
    'a header to add has a name of tokens',
    'IST0106',
    'headers.request.add[a b]',
    'headers: {request: {add: {"a b": c}}} # HERE',
  ),
  route(
    'a pseudo header cannot be set',
    'IST0106',
    'headers.request.set[:path]',
    'headers: {request: {set: {":path": /b}}} # HERE',
  ),
  route(
    'the host cannot be removed',
    'IST0106',
    'headers.request.remove[0]',
    'headers: {request: {remove: [Host]}} # HERE',
  ),
  route(
    'the host is not of a response',
    'IST0106',
    'headers.response.set[host]',
    'headers: {response: {set: {host: b}}} # HERE',
  ),
  route(
    'the authority is set once',
    'IST0106',
    'headers.request.set[Host]',
    'rewrite: {authority: b}\nheaders: {request: {set: {Host: c}}} # HERE',
  ),
  route(
    'a header value is no line end',
    'IST0106',
    'headers.request.set[x]',
    'headers: {request: {set: {x: "a\\nb"}}} # HERE',
  ),
  route(
    'a header value has no lone %',
    'IST0106',
    'headers.request.set[x]',
    'headers: {request: {set: {x: 100%}}} # HERE',
  ),
  route(
    'a header value has variables that end',
    'IST0106',
    'headers.request.set[x]',
    'headers: {request: {set: {x: "%REQ(a%"}}} # HERE',
  ),
  route(
    'a header value is text',
    'IST0106',
    'headers.request.set[x]',
    'headers: {request: {set: {x: 1}}} # HERE',
  ),
])

testIssues(envelope, [
  [
    'a second catch-all is never used',
    'IST0130',
    'spec.http[1]',
    'hosts: [a]\nhttp:\n- route: [{destination: {host: a}}]\n- route: [{destination: {host: b}}] # HERE',
  ],
  [
    'a route whose matches came before is never used',
    'IST0130',
    'spec.http[1]',
    'hosts: [a]\nhttp:\n- match: [{uri: {exact: /a}}]\n  redirect: {uri: /}\n- match: [{uri: {exact: /a}, name: b}] # HERE\n  redirect: {uri: /}',
  ],
  [
    'a match that came before is never used',
    'IST0131',
    'spec.http[1].match[0]',
    'hosts: [a]\nhttp:\n- match: [{uri: {exact: /a}}]\n  redirect: {uri: /}\n- match:\n  - uri: {exact: /a} # HERE\n  - uri: {exact: /b}\n  redirect: {uri: /}',
  ],
  [
    'a longer prefix after a shorter is never used',
    'IST0131',
    'spec.http[1].match[0]',
    'hosts: [a]\nhttp:\n- match: [{uri: {prefix: /a}}]\n  redirect: {uri: /}\n- match: [{uri: {prefix: /a/b}}] # HERE\n  redirect: {uri: /}',
  ],
  [
    'tls needs a match',
    'IST0106',
    'spec.tls[0].match',
    'hosts: [a]\ntls:\n- route: [{destination: {host: a}}] # HERE',
  ],
  [
    'tls needs SNI hosts',
    'IST0106',
    'spec.tls[0].match[0].sniHosts',
    'hosts: [a]\ntls:\n- match: [{port: 443}] # HERE\n  route: [{destination: {host: a}}]',
  ],
  [
    'an SNI host is one of the hosts',
    'IST0106',
    'spec.tls[0].match[0].sniHosts[0]',
    'hosts: [a.com]\ntls:\n- match: [{sniHosts: [b.com]}] # HERE\n  route: [{destination: {host: a}}]',
  ],
  [
    'an SNI host is no address',
    'IST0133',
    'spec.tls[0].match[0].sniHosts[0]',
    'hosts: [a.com]\ntls:\n- match: [{sniHosts: [10.0.0.1]}] # HERE\n  route: [{destination: {host: a}}]',
  ],
  [
    'tls needs a destination',
    'IST0106',
    'spec.tls[0].route',
    'hosts: [a.com]\ntls:\n- match: [{sniHosts: [a.com]}]\n  route: [] # HERE',
  ],
  [
    'tcp needs a destination',
    'IST0106',
    'spec.tcp[0].route',
    'hosts: [a]\ntcp:\n- match: [{port: 80}] # HERE',
  ],
  [
    'a subnet is CIDR',
    'IST0106',
    'spec.tcp[0].match[0].destinationSubnets[0]',
    'hosts: [a]\ntcp:\n- match: [{destinationSubnets: [10.0.0.0/33]}] # HERE\n  route: [{destination: {host: a}}]',
  ],
  [
    'sourceSubnet is deprecated',
    'IST0002',
    'spec.tcp[0].match[0].sourceSubnet',
    'hosts: [a]\ntcp:\n- match: [{sourceSubnet: 10.0.0.0/8}] # HERE\n  route: [{destination: {host: a}}]',
  ],
])

testIssues(envelope, [
  route(
    'fault has no effect yet',
    'TUL0011',
    'fault',
    'fault: {abort: {httpStatus: 500, percentage: {value: 1}}} # HERE',
  ),
  route('mirror has no effect yet', 'TUL0011', 'mirror', 'mirror: {host: b} # HERE'),
  route(
    'corsPolicy has no effect yet',
    'TUL0011',
    'corsPolicy',
    'corsPolicy: {allowMethods: [GET]} # HERE',
  ),
  action('delegate has no effect yet', 'TUL0011', '.delegate', 'delegate: {name: b} # HERE'),
  [
    'gateways have no effect yet',
    'TUL0011',
    'spec.gateways[1]',
    `hosts: [a]\ngateways:\n- mesh\n- gw # HERE\n${http}`,
  ],
])
