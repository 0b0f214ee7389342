/** The ways to ask an application whether it is ready: an HTTP request, a connection, gRPC's health, a command. */
import { spawn } from 'node:child_process'
import { connect } from 'node:net'

import { unreachable } from '../../lib/assert.ts'
import { request as httpRequest } from '../../lib/node-http.ts'
import type { Check, ProbeAction } from './probe.ts'

type HttpAction = Extract<ProbeAction, { kind: 'http' }>
type TcpAction = Extract<ProbeAction, { kind: 'tcp' }>

export interface CheckEnvironment {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
}

export function createCheck(action: ProbeAction, environment: CheckEnvironment): Check {
  switch (action.kind) {
    case 'http':
      return (signal) => checkHttp(action, signal)
    case 'tcp':
      return (signal) => checkTcp(action, signal)
    case 'grpc':
      // node:http2 is loaded by the few who probe with it.
      return async (signal) => (await import('./check-grpc.ts')).checkGrpc(action, signal)
    case 'exec':
      return (signal) => checkCommand(action.command, environment, signal)
    default:
      return unreachable(action)
  }
}

/** Ready: 200 to 399, as Kubernetes' kubelet and Istio's agent have it. Certificates are not verified there. */
function checkHttp(action: HttpAction, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    // TLS is loaded by the few who probe with it.
    const https = () => process.getBuiltinModule('node:https')
    const send = action.scheme === 'https' ? https().request : httpRequest
    const options = {
      host: action.host,
      port: action.port,
      path: action.path,
      headers: Object.fromEntries(action.headers),
      agent: false,
      rejectUnauthorized: false,
      signal,
    }
    const sent = send(options, (response) => {
      response.resume()
      const status = response.statusCode ?? 0
      const isReady = status >= 200 && status < 400
      resolve(isReady ? undefined : `GET ${action.path} on port ${action.port}: status ${status}`)
      response.destroy()
    })
    sent.once('error', (error) => {
      resolve(`GET ${action.path} on port ${action.port}: ${error.message}`)
    })
    sent.end()
  })
}

function checkTcp(action: TcpAction, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: action.host, port: action.port })
    const finish = (failure: string | undefined) => {
      signal.removeEventListener('abort', onAbort)
      resolve(failure)
      socket.destroy()
    }
    const onAbort = () => finish(`connect to port ${action.port}: aborted`)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', () => finish(undefined))
    socket.once('error', (error) => finish(`connect to port ${action.port}: ${error.message}`))
  })
}

function checkCommand(
  command: readonly string[],
  environment: CheckEnvironment,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [program = '', ...args] = command
  return new Promise((resolve) => {
    const { cwd, env } = environment
    const child = spawn(program, args, { cwd, env, stdio: 'ignore', signal, killSignal: 'SIGKILL' })
    child.once('error', (error) => resolve(`${program}: ${error.message}`))
    child.once('exit', (code, ended) => {
      resolve(code === 0 ? undefined : `${program}: ended with ${ended ?? `code ${code}`}`)
    })
  })
}
