/** The shared parts of a sidecar's TLS, for tests of a part of it. */
import type { Clock } from '../../src/lib/clock.ts'
import { type Log, silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { HandshakePacer } from '../../src/proxy/tls/handshake-pacer.ts'
import type { TlsScope } from '../../src/proxy/tls/live-tls.ts'
import { RefusalLog } from '../../src/proxy/tls/refusal-log.ts'
import { SecretStore } from '../../src/proxy/tls/secret-store.ts'
import { SecureContexts } from '../../src/proxy/tls/secure-contexts.ts'

export function createTlsScope(clock: Clock, log: Log = silentLog): TlsScope {
  return {
    clock,
    random: systemRandom,
    log,
    secrets: new SecretStore(() => {}),
    contexts: new SecureContexts(),
    pacer: new HandshakePacer({ clock }),
    refusals: new RefusalLog(clock, log),
  }
}
