/** The two proxies that are compared: a real Envoy and Tulle, started from the same file, asked through their admin. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'

import { systemClock } from '../../../src/lib/clock.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { systemRandom } from '../../../src/lib/random.ts'
import { openSidecar } from '../../../src/proxy/sidecar.ts'
import { eventually } from '../../support/eventually.ts'

export interface OpenProxy extends AsyncDisposable {
  /** By the name of the listener. */
  readonly ports: ReadonlyMap<string, number>
  /** What the admin interface answers. */
  readonly admin: (path: string) => Promise<string>
}

export interface EnvoyOptions {
  readonly envoy: string
  readonly file: string
  /** For the file that Envoy writes its address to. */
  readonly folder: string
  /** How many listeners must be up. */
  readonly listeners: number
}

export async function openTulle(file: string): Promise<OpenProxy> {
  const text = readFileSync(file, 'utf8')
  const sidecar = await openSidecar({
    bootstrap: { text, file },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  })
  const address = sidecar.adminAddress ?? ''
  const ports = await listenerPorts(address)
  const admin = (path: string): Promise<string> => get(address, path)
  return { ports, admin, [Symbol.asyncDispose]: () => sidecar.close() }
}

export async function openEnvoy(options: EnvoyOptions): Promise<OpenProxy> {
  const { envoy, file, folder, listeners } = options
  const addressFile = join(folder, 'admin-address')
  rmSync(addressFile, { force: true })
  const child = spawn(
    envoy,
    [
      '-c',
      file,
      '--concurrency',
      '1',
      '--admin-address-path',
      addressFile,
      '--log-level',
      'error',
      '--file-flush-interval-msec',
      '50',
      '--use-dynamic-base-id',
    ],
    { stdio: 'ignore' },
  )
  try {
    const address = await eventually(() => readFileSync(addressFile, 'utf8').trim() || undefined, {
      deadlineMs: 20_000,
    })
    const ports = await eventually(
      async () => {
        const found = await listenerPorts(address)
        return found.size === listeners ? found : undefined
      },
      { deadlineMs: 20_000 },
    )
    const admin = (path: string): Promise<string> => get(address, path)
    return { ports, admin, [Symbol.asyncDispose]: () => stop(child) }
  } catch (error) {
    await stop(child)
    throw error
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}

/** Name → port, from the admin interface's `/listeners`. */
async function listenerPorts(admin: string): Promise<ReadonlyMap<string, number>> {
  const text = await get(admin, '/listeners')
  const ports = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = /^(.+)::127\.0\.0\.1:(\d+)$/.exec(line)
    if (match?.[1] !== undefined) ports.set(match[1], Number(match[2]))
  }
  return ports
}

function get(admin: string, path: string): Promise<string> {
  const [host, port] = admin.split(':')
  return new Promise((resolve, reject) => {
    const sent = request({ host, port, path, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve(text))
    })
    sent.on('error', reject)
    sent.end()
  })
}
