import "m3";
