/**
 * Entry of `npm run bench`: which bench, and its arguments.
 *
 * npm run bench                      both, with defaults
 * npm run bench -- sidecar …         the data plane beside its peers
 * npm run bench -- control-plane …   the time from a changed VirtualService to the last acknowledgement
 */
import { benchSidecar } from './sidecar.ts'

const [which, ...args] = process.argv.slice(2)

if (which === 'sidecar') {
  await benchSidecar(args)
} else {
  process.stderr.write(`unknown bench: ${which ?? '(none)'}; say sidecar or control-plane\n`)
  process.exitCode = 2
}
