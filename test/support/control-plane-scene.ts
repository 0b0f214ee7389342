/** A control plane over a folder of files, with its API and ADS at hand. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import {
  openControlPlane,
  type ControlPlane,
  type ControlPlaneOptions,
} from '../../src/control/control-plane.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { seededRandom } from '../../src/lib/random.ts'
import { AdsPeer } from './ads-peer.ts'

export interface ControlPlaneScene extends AsyncDisposable {
  readonly controlPlane: ControlPlane
  readonly folder: string
  write(path: string, text: string): void
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  /** `POST /path` */
  send(target: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  connect(variant: 'sotw' | 'delta'): AdsPeer
  restart(): Promise<void>
}

export interface Answer {
  readonly code: number
  // A test knows the shape of what it asked for.
  // oxlint-disable-next-line typescript/no-explicit-any -- answers are JSON of any shape
  readonly body: any
}

/** Files by path relative to the folder; `mesh.yaml` is the mesh file when it is there. */
export async function openControlPlaneScene(
  files: Readonly<Record<string, string>>,
  options: Partial<ControlPlaneOptions> = {},
): Promise<ControlPlaneScene> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-control-'))
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  for (const [path, text] of Object.entries(files)) write(path, text)
  const open = (ports: { xds: number; api: number }) =>
    openControlPlane({
      ...(files['mesh.yaml'] === undefined
        ? { configPaths: [folder] }
        : { meshFile: join(folder, 'mesh.yaml') }),
      plaintextXds: { host: '127.0.0.1', port: ports.xds },
      api: { host: '127.0.0.1', port: ports.api },
      stateFolder: join(folder, '.state'),
      clock: systemClock,
      random: seededRandom(5),
      log: silentLog,
      debounce: { leadingMs: 1, quietMs: 5 },
      ...options,
    })
  let controlPlane = await open({ xds: 0, api: 0 })
  const peers: AdsPeer[] = []
  const request = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(controlPlane.apiUrl + path, init)
    const text = await response.text()
    const isJson = response.headers.get('content-type') === 'application/json'
    return { code: response.status, body: isJson ? JSON.parse(text) : text }
  }
  return {
    get controlPlane() {
      return controlPlane
    },
    folder,
    write,
    get: (path, headers = {}) => request(path, { headers }),
    send(target, body, headers = { 'content-type': 'application/json' }) {
      const [method = '', path = ''] = target.split(' ')
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      return request(path, { method, headers, body: text })
    },
    connect(variant) {
      const peer = new AdsPeer(controlPlane.plaintextXdsAddress, variant)
      peers.push(peer)
      return peer
    },
    async restart() {
      const ports = {
        xds: Number(controlPlane.plaintextXdsAddress.split(':').at(-1)),
        api: Number(controlPlane.apiUrl.split(':').at(-1)),
      }
      await controlPlane.close()
      controlPlane = await open(ports)
    },
    async [Symbol.asyncDispose]() {
      for (const peer of peers) peer.close()
      await controlPlane.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
