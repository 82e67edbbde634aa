// rootmerge: the public surface.

export * from './merge/index.ts'
export { RootmergeError, SyscallError, UnsupportedPlatformError } from './sys/errors.ts'
