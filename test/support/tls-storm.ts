/**
 * A process that opens many TLS connections at one moment, asks each a question, and says how many were answered: a thousand
 * sidecars that reconnect. Arguments: port, count, and a file with certificate and key as JSON.
 */
import { readFileSync } from 'node:fs'
import { connect, createSecureContext } from 'node:tls'

const [port = '', count = '', file = ''] = process.argv.slice(2)
const secureContext = createSecureContext(JSON.parse(readFileSync(file, 'utf8')) as object)

async function ask(): Promise<boolean> {
  const options = {
    port: Number(port),
    host: '127.0.0.1',
    secureContext,
    rejectUnauthorized: false,
  }
  const socket = connect(options)
  return await new Promise((resolve) => {
    socket.on('error', () => resolve(false))
    socket.on('close', () => resolve(false))
    socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))
    socket.once('data', () => {
      resolve(true)
      socket.destroy()
    })
  })
}

const answers = await Promise.all(Array.from({ length: Number(count) }, ask))
process.stdout.write(String(answers.filter(Boolean).length))
