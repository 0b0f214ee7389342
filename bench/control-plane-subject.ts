/** The control plane as a process of its own, for bench/control-plane.ts: FOLDER XDS_PORT API_PORT. */
import { openControlPlane } from '../src/control/control-plane.ts'
import { systemClock } from '../src/lib/clock.ts'
import { createLog } from '../src/lib/log.ts'
import { systemRandom } from '../src/lib/random.ts'

const [folder = '.', xdsPort = '0', apiPort = '0'] = process.argv.slice(2)
const controlPlane = await openControlPlane({
  configPaths: [folder],
  plaintextXds: { host: '127.0.0.1', port: Number(xdsPort) },
  api: { host: '127.0.0.1', port: Number(apiPort) },
  clock: systemClock,
  random: systemRandom,
  log: createLog({ name: 'control-plane', level: 'warn' }),
})
process.once('SIGTERM', () => void controlPlane.close().then(() => process.exit(0)))
