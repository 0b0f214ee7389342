/** Opens the relay between a workload's sidecar and the control plane, on a Unix socket in its state folder. */
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openAdsRelay } from '../xds/ads-relay.ts'
import type { OpenRelay } from './sidecar.ts'

/** The kernel's own limit is 108 bytes on Linux, 104 on macOS. */
const socketPathBytesMax = 100

export const openRelay: OpenRelay = ({ plan, clock, random, log }) =>
  openAdsRelay({
    listen: `unix:${socketPath(plan.stateFolder)}`,
    upstream: plan.controlPlane,
    cache: { folder: join(plan.stateFolder, 'accepted') },
    clock,
    random,
    log,
  })

/** In a folder of its own below the system's temporary one, when the state folder's path is too long. */
function socketPath(stateFolder: string): string {
  const path = join(stateFolder, 'relay.sock')
  if (Buffer.byteLength(path) <= socketPathBytesMax) return path
  const digest = createHash('sha256').update(stateFolder).digest('hex').slice(0, 16)
  const folder = join(tmpdir(), `tulle-${digest}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return join(folder, 'relay.sock')
}
