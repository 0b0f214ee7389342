/**
 * Where Tulle keeps what belongs to this user on this host, and how commands find a running mesh.
 *
 * The home is $TULLE_HOME, else $XDG_RUNTIME_DIR/tulle, else ~/.tulle:
 *
 * | path | what |
 * | --- | --- |
 * | meshes/NAME.json | written by `tulle up` and `tulle control-plane`: process and addresses of a running mesh |
 * | ports/PORT | leases of ports (agent/process/port-lease.ts) |
 * | state/MESH/control-plane/… | registrations; in `ca/` the mesh's root, its key, and the book of certificates |
 * | state/MESH/NAMESPACE/WORKLOAD/… | of each workload: key and certificate, bootstrap, last accepted resources, sockets |
 *
 * A mesh file whose process has gone is stale and ignored.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

import { isAlive } from '../agent/process/port-lease.ts'
import type { IdentityPlan } from '../agent/workload-plan.ts'
import { MeshError } from '../lib/mesh-error.ts'
import type { ProxyConfig } from '../model/mesh/proxy-config.ts'

export interface RunningMesh {
  readonly name: string
  /** Of the process that wrote this. */
  readonly pid: number
  /** `http://127.0.0.1:15014` */
  readonly api: string
  /** `127.0.0.1:15012`: xDS and certificates, over TLS. */
  readonly xds: string
  readonly namespace: string
  readonly trustDomain: string
  /** How workloads that join on this host come to a certificate. */
  readonly identity: MeshHandOver
  /** The mesh's defaultConfig, for workloads that join on this host. */
  readonly proxyConfig?: ProxyConfig
  /** The mesh file; empty for a control plane without one. */
  readonly file: string
  readonly startedAt: string
}

export type MeshHandOver = Pick<
  IdentityPlan,
  'trustDomainAliases' | 'ttlMs' | 'handOver' | 'moreRootsPem'
>

export interface TulleHome {
  readonly folder: string
  readonly ports: string
  stateOf(mesh: string): string
}

type Environment = Readonly<Record<string, string | undefined>>

export function tulleHome(env: Environment): TulleHome {
  const runtime = env['XDG_RUNTIME_DIR']
  const fallback = runtime ? join(runtime, 'tulle') : join(env['HOME'] ?? homedir(), '.tulle')
  const folder = env['TULLE_HOME'] || fallback
  return {
    folder,
    ports: join(folder, 'ports'),
    stateOf: (mesh) => join(folder, 'state', mesh),
  }
}

/** Tells other commands where the mesh is, until the returned handle is disposed. */
export function announceMesh(home: TulleHome, mesh: RunningMesh): Disposable {
  const folder = join(home.folder, 'meshes')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${mesh.name}.json`)
  writeFileSync(`${path}.${mesh.pid}`, `${JSON.stringify(mesh, undefined, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.${mesh.pid}`, path)
  return {
    [Symbol.dispose]() {
      // A later mesh of the same name may have written its own.
      if (readMesh(path)?.pid === mesh.pid) rmSync(path, { force: true })
    },
  }
}

/** Meshes whose process lives, by name. */
export function findMeshes(home: TulleHome): readonly RunningMesh[] {
  const folder = join(home.folder, 'meshes')
  let names: readonly string[]
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.json'))
  } catch {
    // No mesh has ever run here.
    return []
  }
  return names
    .flatMap((name) => readMesh(join(folder, name)) ?? [])
    .filter((mesh) => isAlive(mesh.pid))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The one mesh that runs, or the one named. */
export function findMesh(home: TulleHome, name: string | undefined): RunningMesh {
  const meshes = findMeshes(home)
  const [only, ...others] =
    name === undefined ? meshes : meshes.filter((mesh) => mesh.name === name)
  if (only === undefined) {
    const what = name === undefined ? 'no mesh runs' : `no mesh named ${name} runs`
    throw new MeshError('MESH_CONTROL_PLANE_UNREACHABLE', `${what} (looked in ${home.folder})`, {
      remedy: 'start one with tulle up FILE, or give --api URL',
    })
  }
  if (others.length > 0) {
    const names = meshes.map((mesh) => mesh.name).join(', ')
    throw new MeshError('MESH_USAGE', `several meshes run: ${names}`, {
      remedy: 'choose one with --mesh NAME',
    })
  }
  return only
}

function readMesh(path: string): RunningMesh | undefined {
  try {
    // Written by announceMesh; a file of another shape lacks a living process and is ignored.
    return JSON.parse(readFileSync(path, 'utf8')) as RunningMesh
  } catch {
    // Removed or replaced meanwhile.
    return undefined
  }
}
