/** nginx as a reader of requests: it answers each with what it read in it. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { eventually } from '../../support/eventually.ts'
import { findProgram } from '../../support/programs.ts'
import type { ExternalReader, Reading, ReadMessage } from '../message.ts'

export async function openNginxReader(): Promise<ExternalReader | string> {
  const nginx = findProgram('nginx')
  if (nginx === undefined) return 'nginx: it is not installed'
  const folder = mkdtempSync(join(tmpdir(), 'tulle-nginx-'))
  const socket = join(folder, 'reader.sock')
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, configuration(folder, socket))
  const child = spawn(nginx, ['-p', folder, '-c', file, '-e', join(folder, 'error.log')], {
    stdio: 'ignore',
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const close = async (): Promise<void> => {
    child.kill('SIGTERM')
    await exited
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await eventually(async () => (await readBy(socket, Buffer.from(probe))).messages.length === 1, {
      deadlineMs: 10_000,
    })
  } catch {
    await close()
    return 'nginx: it does not start'
  }
  return {
    name: 'nginx',
    read: (bytes) => readBy(socket, bytes),
    [Symbol.asyncDispose]: close,
  }
}

const probe = 'GET / HTTP/1.1\r\nHost: probe\r\n\r\n'

function configuration(folder: string, socket: string): string {
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  large_client_header_buffers 4 128k;
  client_max_body_size 0;
  server {
    listen unix:${socket};
    location / {
      default_type text/plain;
      add_header X-Read "|$request_method|$request_uri|$http_host|" always;
      return 200 "";
    }
  }
}
`
}

/** The connection is nginx's to end, or ours when it has been silent for a moment. */
function readBy(socketPath: string, bytes: Buffer): Promise<Reading> {
  return new Promise((resolve) => {
    const socket = connect(socketPath)
    let text = ''
    const finish = (): void => {
      socket.destroy()
      resolve(parse(text))
    }
    socket.on('error', finish)
    socket.on('close', finish)
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    // Half-closed after the last byte: nginx answers what it has, and ends.
    socket.end(bytes)
  })
}

function parse(text: string): Reading {
  const messages = [...text.matchAll(/^X-Read: \|([^|]*)\|(.*)\|([^|]*)\|\r$/gm)].map(
    ([, method = '', target = '', host = '']): ReadMessage => ({
      method,
      target,
      host,
      bodyBytes: -1,
    }),
  )
  const refused = /^HTTP\/1\.1 [45]\d\d.*$/m.exec(text)?.[0]
  return { messages, ...(refused !== undefined && { refused }) }
}
