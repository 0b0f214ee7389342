/** VirtualService: hosts, gateways, actions, reachability, effects; one row for each rule. */
import { action, route } from '../../../test/support/http-route-row.ts'
import { testIssues } from '../../../test/support/issue-table.ts'

const envelope = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService' }

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
  [
    'gateways have no effect yet',
    'TUL0011',
    'spec.gateways[1]',
    `hosts: [a]\ngateways:\n- mesh\n- gw # HERE\n${http}`,
  ],
])
