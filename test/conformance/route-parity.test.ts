/** Routes: the same table in a real Envoy and in Tulle takes the same requests to the same places, shaped alike. */
import { routeScene } from './parity/route-scene.ts'
import { compareScene } from './parity/scene.ts'

compareScene(routeScene)
