/** The router, asked by a client that it believes: a real Envoy and Tulle make the same of its headers, and of any answer. */
import { routerScene } from './parity/router-scene.ts'
import { compareScene } from './parity/scene.ts'

compareScene(routerScene)
