/** Every setting of the HTTP connection manager and of a cluster's HTTP/1.1, in a real Envoy and in Tulle. */
import { managerCases } from './parity/manager-cases.ts'
import { managerBootstrap, managers } from './parity/manager-listeners.ts'
import { compareScene } from './parity/scene.ts'

compareScene({
  title: 'the settings of a connection manager in Envoy and in Tulle',
  listeners: Object.keys(managers).length,
  cases: managerCases,
  bootstrap: managerBootstrap,
})
