/**
 * Node's HTTP server and client. `import … from 'node:http'` reads every export of that module, some of which are
 * getters that load fetch and WebSocket: 25 ms and 15 MB in each process. Types may come from 'node:http'.
 */
export const { createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http')
