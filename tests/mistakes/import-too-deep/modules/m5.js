import "m6";
