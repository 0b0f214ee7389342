/**
 * What is compared: each proxy with one listener in front of one origin, on one worker, set up for the same work.
 *
 * "plain" is the least that proxies a request. "as Istio" is what a sidecar carries by default: route table,
 * retry policy, breakers, outlier detection, statistics and a JSON access log. Envoy and Tulle run from one and
 * the same bootstrap file.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { findEnvoy, findProgram } from '../test/support/programs.ts'
import { type Feature, type SubjectOptions, writeBootstrap } from './bootstrap.ts'
import { nodeFlags } from './process.ts'

export interface Subject {
  readonly name: string
  readonly command: readonly string[]
  readonly port: number
}

/** Answers of `bodyBytes`, from a file where they are many; of several sizes: `/size-BYTES`. */
export function nginxOrigin(
  folder: string,
  port: number,
  body: number | readonly number[] = 128,
): Subject | undefined {
  const nginx = findProgram('nginx')
  if (nginx === undefined) return undefined
  const file = join(folder, 'origin.conf')
  const answer = typeof body === 'number' ? answerOf(folder, body) : answersOf(folder, body)
  writeFileSync(
    file,
    `daemon off; master_process off; worker_processes 1; pid ${folder}/origin.pid; error_log /dev/null;
events { worker_connections 9000; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 3600s;
  server { listen 127.0.0.1:${String(port)} backlog=4096; location / { default_type text/plain; ${answer} } } }
`,
  )
  return { name: 'origin', command: [nginx, '-p', folder, '-c', file], port }
}

function answerOf(folder: string, bytes: number): string {
  if (bytes <= 4096) return `return 200 "${'x'.repeat(bytes)}";`
  writeFileSync(join(folder, 'body'), Buffer.alloc(bytes, 'x'))
  return `root ${folder}; sendfile on; try_files /body =404;`
}

function answersOf(folder: string, sizes: readonly number[]): string {
  for (const bytes of sizes) {
    writeFileSync(join(folder, `size-${String(bytes)}`), Buffer.alloc(bytes, 'x'))
  }
  return `root ${folder}; sendfile on;`
}

/** An origin of gRPC-shaped answers over HTTP/2 with prior knowledge. */
export function haproxyOrigin(folder: string, port: number): Subject | undefined {
  const program = findProgram('haproxy')
  if (program === undefined) return undefined
  const file = join(folder, 'origin.cfg')
  writeFileSync(
    file,
    `global
  nbthread 1
defaults
  mode http
  timeout client 1h
frontend origin
  bind 127.0.0.1:${String(port)} proto h2
  http-request return status 200 content-type application/grpc string "${'x'.repeat(64)}" hdr grpc-status 0
`,
  )
  return { name: 'origin', command: [program, '-db', '-q', '-f', file], port }
}

/** Undefined for bytes of TCP too: the module for them is seldom there. */
export function nginx(options: SubjectOptions): Subject | undefined {
  const program = findProgram('nginx')
  if (program === undefined || options.isTcp === true) return undefined
  const { folder, port, originPort, isUpstreamHttp2 = false } = options
  const file = join(folder, `nginx-${String(port)}.conf`)
  // With HTTP/2 towards the origin nginx knows gRPC only.
  const pass = isUpstreamHttp2
    ? 'grpc_pass grpc://origin; grpc_read_timeout 1h; grpc_send_timeout 1h;'
    : 'proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;'
  writeFileSync(
    file,
    `daemon off; master_process off; worker_processes 1; pid ${folder}/nginx-${String(port)}.pid; error_log /dev/null;
events { worker_connections 9000; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 3600s; client_body_timeout 1h; client_max_body_size 0;
  upstream origin { server 127.0.0.1:${String(originPort)}; keepalive 256; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${String(port)} ${isUpstreamHttp2 ? 'http2' : ''} backlog=4096; location / { ${pass} } } }
`,
  )
  return { name: 'nginx', command: [program, '-p', folder, '-c', file], port }
}

export function haproxy(
  options: SubjectOptions,
  words: { readonly bind?: string; readonly server?: string } = {},
): Subject | undefined {
  const { bind = '', server = '' } = words
  const program = findProgram('haproxy')
  if (program === undefined) return undefined
  const file = join(options.folder, `haproxy-${String(options.port)}.cfg`)
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 8192
defaults
  mode ${options.isTcp === true ? 'tcp' : 'http'}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  ${options.isTcp === true ? '' : 'http-reuse always'}
frontend in
  bind 127.0.0.1:${String(options.port)} ${bind}
  default_backend origin
backend origin
  server o 127.0.0.1:${String(options.originPort)} ${server}
`,
  )
  return { name: 'HAProxy', command: [program, '-db', '-q', '-f', file], port: options.port }
}

/** A chain with its key, and the root that the other side is believed by. */
export interface HopFiles {
  readonly leafFile: string
  readonly rootFile: string
}

/** One end of a hop over mutual TLS: it speaks TLS to the server's end, or takes it there. */
export function haproxyHop(
  options: SubjectOptions,
  hop: { readonly side: 'client' | 'server'; readonly files: HopFiles; readonly alpn: string },
): Subject | undefined {
  const { side, files, alpn } = hop
  const tls = `ssl crt ${files.leafFile} ca-file ${files.rootFile} verify required alpn ${alpn}`
  return haproxy(options, side === 'server' ? { bind: tls } : { server: tls })
}

export function envoy(
  options: SubjectOptions,
  features: readonly Feature[],
  name = features.length === 0 ? 'Envoy, plain' : 'Envoy, as Istio sets it up',
): Subject | undefined {
  const program = findEnvoy()
  if (program === undefined) return undefined
  const file = writeBootstrap(options, features)
  return {
    name,
    command: [program, '-c', file, '--concurrency', '1', '-l', 'off', '--disable-hot-restart'],
    port: options.port,
  }
}

export interface TulleOptions {
  readonly name: string
  readonly features: readonly Feature[]
  /** Where its sources are; this checkout unless given. */
  readonly checkout?: string
  readonly flags?: readonly string[]
}

export function tulle(
  options: SubjectOptions,
  { name, features, checkout = join(import.meta.dirname, '..'), flags = [] }: TulleOptions,
): Subject {
  const entry = join(checkout, 'bin', 'tulle.mjs')
  return {
    name,
    command: [
      process.execPath,
      ...nodeFlags,
      entry,
      'sidecar',
      '-c',
      writeBootstrap(options, features),
      ...flags,
    ],
    port: options.port,
  }
}
