/** A value of the bootstrap that the agent writes. */
export type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json }
