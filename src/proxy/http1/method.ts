/** The methods that Envoy's HTTP/1 codec knows; others are refused unless `allow_custom_methods` is set. */
export const knownMethods: ReadonlySet<string> = new Set(
  (
    'ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH ' +
    'NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND ' +
    'UNLINK UNLOCK UNSUBSCRIBE M-SEARCH'
  ).split(' '),
)
