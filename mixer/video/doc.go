// Package video is a room's canvas: it places the newest picture of every
// participant who shows one into a tile, with their name, and says where each tile lies.
package video
