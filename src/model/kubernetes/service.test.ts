/** Kubernetes' Service: one row for each rule. */
import { testIssues } from '../../../test/support/issue-table.ts'

testIssues({ apiVersion: 'v1', kind: 'Service' }, [
  ['ports are required', 'IST0106', 'spec.ports', '# HERE\nselector: {app: a}'],
  ['ports are not empty', 'IST0106', 'spec.ports', 'ports: [] # HERE'],
  ['a port has a number', 'IST0106', 'spec.ports[0].port', 'ports:\n- name: http # HERE'],
  ['a port is in range', 'IST0106', 'spec.ports[0].port', 'ports:\n- port: 70000 # HERE'],
  ['a port is a number', 'IST0106', 'spec.ports[0].port', 'ports:\n- port: "80" # HERE'],
  [
    'a port name is lower case',
    'IST0106',
    'spec.ports[0].name',
    'ports:\n- {port: 80, name: HTTP} # HERE',
  ],
  [
    'several ports have names',
    'IST0106',
    'spec.ports[1].name',
    'ports:\n- {port: 80, name: http}\n- port: 81 # HERE',
  ],
  [
    'a port name is there once',
    'IST0106',
    'spec.ports[1].name',
    'ports:\n- {port: 80, name: http}\n- {port: 81, name: http} # HERE',
  ],
  [
    'a port is there once',
    'IST0106',
    'spec.ports[1].port',
    'ports:\n- {port: 80, name: http}\n- {port: 80, name: web} # HERE',
  ],
  [
    'a protocol is TCP, UDP or SCTP',
    'IST0106',
    'spec.ports[0].protocol',
    'ports:\n- {port: 80, protocol: HTTPX} # HERE',
  ],
  [
    'a protocol over TCP is no transport',
    'IST0133',
    'spec.ports[0].protocol',
    'ports:\n- {port: 80, name: http, protocol: HTTP} # HERE',
  ],
  [
    'a target port is in range',
    'IST0106',
    'spec.ports[0].targetPort',
    'ports:\n- {port: 80, targetPort: 0} # HERE',
  ],
  [
    'a target port is a name',
    'IST0106',
    'spec.ports[0].targetPort',
    'ports:\n- {port: 80, targetPort: "8080"} # HERE',
  ],
  [
    'a selector has label values',
    'IST0106',
    'spec.selector[app]',
    'ports: [{port: 80}]\nselector: {app: "a b"} # HERE',
  ],
  ['a type is a word', 'IST0106', 'spec.type', 'ports: [{port: 80}]\ntype: Cluster # HERE'],
  ['an ExternalName has a name', 'IST0106', 'spec.externalName', '# HERE\ntype: ExternalName'],
  [
    'an external name is a host',
    'IST0106',
    'spec.externalName',
    'type: ExternalName\nexternalName: a_b # HERE',
  ],
  [
    'a cluster IP is an address',
    'IST0106',
    'spec.clusterIP',
    'ports: [{port: 80}]\nclusterIP: a # HERE',
  ],
  ['unknown field', 'TUL0010', 'spec.selectors', 'ports: [{port: 80}]\nselectors: {} # HERE'],
  [
    'node ports are for clusters',
    'TUL0011',
    'spec.ports[0].nodePort',
    'ports:\n- {port: 80, nodePort: 30000} # HERE',
  ],
  [
    'load balancers are for clusters',
    'TUL0011',
    'spec.type',
    'ports: [{port: 80}]\ntype: LoadBalancer # HERE',
  ],
  [
    'affinity has no end',
    'TUL0011',
    'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
    'ports: [{port: 80}]\nsessionAffinity: ClientIP\nsessionAffinityConfig: {clientIP: {timeoutSeconds: 60}} # HERE',
  ],
])
