/** The proxies that the corpus is sent to, each in front of the same origin: Tulle's sidecar, Envoy, HAProxy and nginx. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { eventually } from '../../support/eventually.ts'
import { freePort } from '../../support/free-port.ts'
import { runEnvoy, runTulle } from '../../support/mtls-scene.ts'
import { findEnvoy, findProgram } from '../../support/programs.ts'
import type { Peer } from '../corpus.ts'

export interface OpenPeer extends AsyncDisposable {
  readonly port: number
}

/** A string says why it is not there. */
export function openPeer(peer: Peer, originPort: number): Promise<OpenPeer | string> {
  return openers[peer](originPort)
}

const openers: Readonly<Record<Peer, (originPort: number) => Promise<OpenPeer | string>>> = {
  tulle: (originPort) => runTulle(bootstrap(originPort)),
  envoy: (originPort) =>
    findEnvoy() === undefined
      ? Promise.resolve('envoy is not installed')
      : runEnvoy(bootstrap(originPort)),
  haproxy: (originPort) => openProgram('haproxy', originPort),
  nginx: (originPort) => openProgram('nginx', originPort),
}

const ext = 'type.googleapis.com/envoy.extensions.filters'

function bootstrap(originPort: number): string {
  const address = (port: number) => ({
    socket_address: { address: '127.0.0.1', port_value: port },
  })
  const manager = {
    '@type': `${ext}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'corpus',
    delayed_close_timeout: '0.01s',
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'origin', timeout: '0s' } }],
        },
      ],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${ext}.http.router.v3.Router` },
      },
    ],
  }
  return JSON.stringify({
    node: { id: 'corpus', cluster: 'corpus' },
    admin: { address: address(0) },
    static_resources: {
      listeners: [
        {
          name: 'main',
          address: address(0),
          filter_chains: [{ filters: [{ name: 'hcm', typed_config: manager }] }],
        },
      ],
      clusters: [
        {
          name: 'origin',
          connect_timeout: '1s',
          load_assignment: {
            cluster_name: 'origin',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(originPort) } }] }],
          },
        },
      ],
    },
  })
}

const programs = {
  haproxy: { arguments: (file: string) => ['-f', file], configuration: haproxyConfiguration },
  nginx: {
    arguments: (file: string, folder: string) => ['-p', folder, '-c', file, '-e', 'stderr'],
    configuration: nginxConfiguration,
  },
}

async function openProgram(
  name: keyof typeof programs,
  originPort: number,
): Promise<OpenPeer | string> {
  const path = findProgram(name)
  if (path === undefined) return `${name} is not installed`
  const folder = mkdtempSync(join(tmpdir(), `tulle-${name}-`))
  const port = await freePort()
  const file = join(folder, `${name}.conf`)
  const program = programs[name]
  writeFileSync(file, program.configuration({ port, originPort, folder }))
  const child = spawn(path, program.arguments(file, folder), { stdio: 'ignore' })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const close = async (): Promise<void> => {
    child.kill('SIGTERM')
    await exited
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await eventually(() => isListening(port), { deadlineMs: 10_000 })
  } catch {
    await close()
    return `${name} does not start`
  }
  return { port, [Symbol.asyncDispose]: close }
}

interface Setup {
  readonly port: number
  readonly originPort: number
  readonly folder: string
}

function haproxyConfiguration({ port, originPort }: Setup): string {
  return `
global
  maxconn 200
defaults
  mode http
  option http-keep-alive
  timeout connect 2s
  timeout client 20s
  timeout server 20s
frontend front
  bind 127.0.0.1:${port}
  default_backend origin
backend origin
  http-reuse always
  server one 127.0.0.1:${originPort}
`
}

function nginxConfiguration({ port, originPort, folder }: Setup): string {
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 8; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
    }
  }
}
`
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
