/**
 * The control plane's own certificate: from the mesh's authority, renewed at half of its life and at once when
 * another root signs. It stands in no file: a restart makes a new one.
 */
import type {
  CertificateAuthority,
  ServerCertificate,
} from '../../identity/certificate-authority.ts'
import type { SpiffeId } from '../../identity/spiffe-id.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError } from '../../lib/mesh-error.ts'

export interface ServerCertificateOptions {
  readonly authority: CertificateAuthority
  readonly spiffeId: SpiffeId
  /** Names and addresses that clients may know it by. */
  readonly hosts: readonly string[]
  readonly onRenewed: (certificate: ServerCertificate) => void
  readonly clock: Clock
  readonly log: Log
}

const retryMs = 5_000

/** Rejections: MESH_CA_UNAVAILABLE. */
export async function openServerCertificate(
  options: ServerCertificateOptions,
): Promise<RenewedCertificate> {
  const { authority, spiffeId, hosts } = options
  return new RenewedCertificate(options, await authority.createServerCertificate(spiffeId, hosts))
}

export class RenewedCertificate implements Disposable {
  readonly #options: ServerCertificateOptions
  readonly #watch: Disposable
  #current: ServerCertificate
  #timer: Timer | undefined
  #isRenewing = false
  #isClosed = false

  constructor(options: ServerCertificateOptions, first: ServerCertificate) {
    this.#options = options
    this.#current = first
    this.#renewLater()
    this.#watch = options.authority.onChange(() => void this.#renew())
  }

  get current(): ServerCertificate {
    return this.#current
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    this.#watch[Symbol.dispose]()
    this.#timer?.cancel()
  }

  #renewLater(): void {
    const leftMs = this.#current.notAfterMs - this.#options.clock.nowMs()
    this.#setTimer(Math.max(leftMs / 2, 100))
  }

  #setTimer(delayMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#options.clock.setTimer(delayMs, () => void this.#renew())
  }

  /** Its own loop: a failure is logged and tried again. */
  async #renew(): Promise<void> {
    if (this.#isRenewing) return
    this.#isRenewing = true
    const { authority, spiffeId, hosts, onRenewed, log } = this.#options
    try {
      let roots
      // The roots may change while the certificate is made.
      do {
        roots = authority.bundle
        this.#current = await authority.createServerCertificate(spiffeId, hosts)
      } while (roots !== authority.bundle && !this.#isClosed)
      if (this.#isClosed) return
      onRenewed(this.#current)
      this.#renewLater()
    } catch (error) {
      if (this.#isClosed) return
      log.error(
        { error: describeError(error) },
        "renewal of the control plane's certificate failed",
      )
      this.#setTimer(retryMs)
    } finally {
      this.#isRenewing = false
    }
  }
}
