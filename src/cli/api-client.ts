/**
 * Speaks to the control plane's API, which has the Kubernetes API's shape: lists, objects, and `Status` errors
 * that already say what is wrong and what to do.
 */
import { describeError, MeshError } from '../lib/mesh-error.ts'
import type { CliContext, FlagValues } from './command.ts'
import { findMesh, tulleHome, type RunningMesh } from './home.ts'

export interface ApiClient {
  readonly url: string
  /** The mesh found on this host; undefined with `--api`. */
  readonly mesh: RunningMesh | undefined
  /** Namespace of commands without `-n`. */
  readonly namespace: string
  get<T>(path: string): Promise<T>
}

const timeoutMs = 10_000

/** Of the mesh that the flags `--api` and `--mesh` mean. */
export function apiClient(flags: FlagValues, context: CliContext): ApiClient {
  const given = flags.text('api')
  const mesh =
    given === undefined ? findMesh(tulleHome(context.env), flags.text('mesh')) : undefined
  const url = (given ?? mesh?.api ?? '').replace(/\/+$/, '')
  return {
    url,
    mesh,
    namespace: flags.text('namespace') ?? mesh?.namespace ?? 'default',
    get: <T>(path: string) => getJson(url, path) as Promise<T>,
  }
}

/** Rejections: MESH_CONTROL_PLANE_UNREACHABLE, MESH_API_FAILED, MESH_STORE_NOT_FOUND. */
async function getJson(base: string, path: string): Promise<unknown> {
  let response: Response
  try {
    response = await fetch(`${base}${path}`, { signal: AbortSignal.timeout(timeoutMs) })
  } catch (cause) {
    throw new MeshError('MESH_CONTROL_PLANE_UNREACHABLE', `the API at ${base} does not answer`, {
      cause,
      remedy: 'check that the mesh runs (tulle up), or give another --api URL',
    })
  }
  const text = await response.text()
  if (response.ok) return parseJson(text, `${base}${path}`)
  const message = statusMessage(text) ?? `status ${response.status}`
  if (response.status === 404) throw new MeshError('MESH_STORE_NOT_FOUND', message)
  throw new MeshError('MESH_API_FAILED', `GET ${path}: ${message}`)
}

function parseJson(text: string, url: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new MeshError(
      'MESH_API_FAILED',
      `${url} did not answer with JSON: ${describeError(error)}`,
      {
        remedy: 'check that --api names a Tulle control plane',
      },
    )
  }
}

/** The message of a Kubernetes `Status`. */
function statusMessage(text: string): string | undefined {
  try {
    const status = JSON.parse(text) as { kind?: string; message?: string }
    return status.kind === 'Status' ? status.message : undefined
  } catch {
    // Not a Status: some other server answered.
    return undefined
  }
}
